"""Rules of the AWS provider itself for the arguments that we set. `terraform validate` applies them only with the
provider's binary. Each row names the file of hashicorp/terraform-provider-aws in which it was read.
"""

from dataclasses import dataclass

from tests.infra.aws.rules import (
    Fact,
    at_least,
    between,
    boolean,
    cidr,
    length,
    matches,
    one_of,
    period,
    reference,
    within,
)

BINDINGS = "the provider's schema in its bindings, cdktn_provider_aws"
ALARM = "internal/service/cloudwatch/metric_alarm.go"
ALARM_CONSTANTS = "internal/service/cloudwatch/consts.go"
BALANCER = "internal/service/elbv2/load_balancer.go"
BALANCER_NAMES = "internal/service/elbv2/validate.go"
BUCKET = "website/docs/r/s3_bucket.html.markdown"
GROUP = "internal/service/ec2/vpc_security_group.go"
INGRESS = "internal/service/ec2/vpc_security_group_ingress_rule.go"
INSTANCES = "website/docs/r/autoscaling_group.html.markdown"
LISTENER = "internal/service/elbv2/listener.go"
LISTENER_PAGE = "website/docs/r/lb_listener.html.markdown"
RECORD = "internal/service/route53/record.go"
RULE = "internal/service/elbv2/listener_rule.go"
SECRET = "website/docs/r/secretsmanager_secret.html.markdown"
SECRET_NAME = "internal/service/secretsmanager/validate.go"
SERVICE = "website/docs/r/ecs_service.html.markdown"
TABLE = "internal/service/dynamodb/table.go"
TABLE_PAGE = "website/docs/r/dynamodb_table.html.markdown"
TABLE_STREAM = "internal/service/dynamodb/validate.go"
TARGETS = "internal/service/elbv2/target_group.go"
TASK = "internal/service/ecs/task_definition.go"
WEB_ACL = "internal/service/wafv2/web_acl.go"

PERCENTILE = r"p\d{1,2}(\.\d{1,2})?|p100"

PROVIDER_FACTS: dict[str, dict[str, Fact]] = {
    "aws_acm_certificate_validation": {
        "certificate_arn": Fact(reference, BINDINGS),
        "validation_record_fqdns": Fact(reference, BINDINGS),
    },
    "aws_autoscaling_group": {
        "force_delete": Fact(boolean, INSTANCES),
    },
    "aws_cloudwatch_metric_alarm": {
        "alarm_description": Fact(length(0, 1024), ALARM),
        "alarm_name": Fact(length(1, 255), ALARM),
        "datapoints_to_alarm": Fact(at_least(1), ALARM),
        "evaluation_periods": Fact(at_least(1), ALARM),
        "metric_query.expression": Fact(length(1, 1024), ALARM),
        "metric_query.id": Fact(length(1, 255), ALARM),
        "metric_query.metric.metric_name": Fact(length(1, 255), ALARM),
        "metric_query.metric.namespace": Fact(matches("[^:].{0,254}"), ALARM),
        "metric_query.metric.period": Fact(period, ALARM),
        "metric_query.metric.stat": Fact(matches(rf"SampleCount|Average|Sum|Minimum|Maximum|{PERCENTILE}"), ALARM),
        "metric_query.return_data": Fact(boolean, ALARM),
        "treat_missing_data": Fact(one_of("breaching", "notBreaching", "ignore", "missing"), ALARM_CONSTANTS),
    },
    "aws_default_security_group": {
        "vpc_id": Fact(reference, BINDINGS),
    },
    "aws_dynamodb_table": {
        "attribute.type": Fact(one_of("B", "N", "S"), TABLE),
        "billing_mode": Fact(one_of("PAY_PER_REQUEST", "PROVISIONED"), TABLE),
        "replica.propagate_tags": Fact(boolean, BINDINGS),
        "stream_enabled": Fact(boolean, TABLE),
        "stream_view_type": Fact(one_of("KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"), TABLE),
    },
    "aws_ecs_service": {
        "availability_zone_rebalancing": Fact(one_of("ENABLED", "DISABLED"), SERVICE),
        "deployment_configuration.canary_configuration.canary_percent": Fact(within(0.1, 100), SERVICE),
        "deployment_configuration.linear_configuration.step_percent": Fact(within(3, 100), SERVICE),
        "deployment_configuration.strategy": Fact(one_of("ROLLING", "BLUE_GREEN", "LINEAR", "CANARY"), SERVICE),
        "force_new_deployment": Fact(boolean, SERVICE),
        "name": Fact(matches("[A-Za-z0-9_-]{1,255}"), SERVICE),
        "network_configuration.assign_public_ip": Fact(boolean, SERVICE),
        "propagate_tags": Fact(one_of("SERVICE", "TASK_DEFINITION"), SERVICE),
    },
    "aws_ecs_task_definition": {"skip_destroy": Fact(boolean, TASK)},
    "aws_launch_template": {"update_default_version": Fact(boolean, BINDINGS)},
    "aws_lb": {
        "internal": Fact(boolean, BALANCER),
        "load_balancer_type": Fact(one_of("application", "network", "gateway"), BALANCER),
        "name": Fact(matches(r"(?!internal-)(?!-)[A-Za-z0-9-]{1,32}(?<!-)"), BALANCER_NAMES),
    },
    "aws_lb_listener": {
        "default_action.fixed_response.content_type": Fact(
            one_of("text/plain", "text/css", "text/html", "application/javascript", "application/json"), LISTENER
        ),
        # In the listener's own file the length is not limited; AWS's API has the limit for both.
        "default_action.fixed_response.message_body": Fact(length(0, 1024), RULE),
        "default_action.fixed_response.status_code": Fact(matches(r"[245]\d\d"), LISTENER),
        "default_action.redirect.protocol": Fact(one_of("#{protocol}", "HTTP", "HTTPS"), LISTENER),
        "default_action.redirect.status_code": Fact(one_of("HTTP_301", "HTTP_302"), LISTENER),
        "port": Fact(between(1, 65535), LISTENER),
    },
    "aws_lb_listener_rule": {
        "action.forward.target_group.weight": Fact(between(0, 999), RULE),
        "condition.host_header.values": Fact(length(1, 128), RULE),
        "condition.path_pattern.values": Fact(length(1, 128), RULE),
        "priority": Fact(between(1, 50_000), RULE),
    },
    "aws_lb_target_group": {
        "deregistration_delay": Fact(between(0, 3600), TARGETS),
        "health_check.healthy_threshold": Fact(between(2, 10), TARGETS),
        "health_check.interval": Fact(between(5, 300), TARGETS),
        "health_check.path": Fact(matches("/.{0,1023}"), TARGETS),
        "health_check.timeout": Fact(between(2, 120), TARGETS),
        "health_check.unhealthy_threshold": Fact(between(2, 10), TARGETS),
        "name": Fact(matches(r"(?!-)[A-Za-z0-9-]{1,32}(?<!-)"), BALANCER_NAMES),
        "port": Fact(between(1, 65535), TARGETS),
        "target_type": Fact(one_of("instance", "ip", "lambda", "alb"), TARGETS),
    },
    "aws_route53_record": {"allow_overwrite": Fact(boolean, RECORD)},
    "aws_s3_bucket": {
        "bucket_prefix": Fact(matches("[a-z0-9][a-z0-9.-]{0,36}"), BUCKET),
        "force_destroy": Fact(boolean, BUCKET),
    },
    "aws_secretsmanager_secret": {
        "name": Fact(matches(r"[A-Za-z0-9/_+=.@-]{1,512}"), SECRET_NAME),
        "recovery_window_in_days": Fact(matches("0|[7-9]|[12][0-9]|30"), SECRET),
    },
    "aws_security_group": {
        "description": Fact(length(0, 255), GROUP),
        # The provider adds 26 characters.
        "name_prefix": Fact(matches("(?!sg-).{0,229}"), GROUP),
    },
    # The provider allows -1 for a port as well, which only ICMP has.
    "aws_vpc_security_group_egress_rule": {
        "cidr_ipv4": Fact(cidr, INGRESS),
        "from_port": Fact(between(0, 65535), INGRESS),
        "to_port": Fact(between(0, 65535), INGRESS),
    },
    "aws_vpc_security_group_ingress_rule": {
        "cidr_ipv4": Fact(cidr, INGRESS),
        "from_port": Fact(between(0, 65535), INGRESS),
        "to_port": Fact(between(0, 65535), INGRESS),
    },
    "aws_wafv2_web_acl": {
        "description": Fact(length(1, 256), WEB_ACL),
        "name": Fact(matches("[0-9A-Za-z_-]{1,128}"), WEB_ACL),
    },
}


@dataclass(frozen=True)
class Relation:
    """How the arguments of one block depend on each other."""

    kind: str
    source: str
    block: str = ""
    """Names of blocks down to the one whose arguments are meant; the resource itself if empty."""
    exactly_one: tuple[str, ...] = ()
    never_with: tuple[str, tuple[str, ...]] | None = None
    """An argument, and those that exclude it."""
    needs: tuple[str, tuple[str, ...]] | None = None
    """An argument, or `argument=value`, and those that it needs."""


RELATIONS = (
    # The provider refuses both. AWS's pages of `PutMetricAlarm` and `MetricDataQuery` say that there must be one.
    Relation("aws_cloudwatch_metric_alarm", ALARM, exactly_one=("threshold", "threshold_metric_id")),
    Relation(
        "aws_cloudwatch_metric_alarm",
        ALARM,
        never_with=(
            "metric_query",
            ("dimensions", "extended_statistic", "metric_name", "namespace", "period", "statistic"),
        ),
    ),
    Relation("aws_cloudwatch_metric_alarm", ALARM, block="metric_query", exactly_one=("expression", "metric")),
    Relation("aws_dynamodb_table", TABLE_STREAM, needs=("stream_enabled=True", ("stream_view_type",))),
    Relation("aws_dynamodb_table", TABLE, needs=("billing_mode=PROVISIONED", ("read_capacity", "write_capacity"))),
    Relation(
        "aws_dynamodb_table",
        TABLE_PAGE,
        block="global_secondary_index",
        needs=("projection_type=INCLUDE", ("non_key_attributes",)),
    ),
    Relation("aws_ecs_service", SERVICE, never_with=("capacity_provider_strategy", ("launch_type",))),
    Relation("aws_ecs_service", SERVICE, needs=("health_check_grace_period_seconds", ("load_balancer",))),
    Relation("aws_ecs_service", SERVICE, never_with=("network_configuration", ("iam_role",))),
    Relation("aws_lb", BALANCER, exactly_one=("subnet_mapping", "subnets")),
    Relation("aws_lb", BALANCER, never_with=("name", ("name_prefix",))),
    Relation("aws_lb_listener", LISTENER_PAGE, needs=("protocol=HTTPS", ("certificate_arn", "ssl_policy"))),
    Relation(
        "aws_lb_listener",
        LISTENER,
        block="default_action",
        needs=("type=fixed-response", ("fixed_response",)),
    ),
    Relation("aws_lb_listener", LISTENER, block="default_action", needs=("type=redirect", ("redirect",))),
    # The provider allows both if they name the same target group: we set one.
    Relation("aws_lb_listener_rule", RULE, block="action", exactly_one=("forward", "target_group_arn")),
    Relation("aws_lb_target_group", TARGETS, needs=("target_type=ip", ("port", "protocol", "vpc_id"))),
    Relation("aws_security_group", GROUP, never_with=("name", ("name_prefix",))),
    *(
        Relation(
            f"aws_vpc_security_group_{way}_rule",
            INGRESS,
            exactly_one=("cidr_ipv4", "cidr_ipv6", "prefix_list_id", "referenced_security_group_id"),
        )
        for way in ("ingress", "egress")
    ),
)
