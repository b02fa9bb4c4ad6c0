"""Arguments whose change makes Terraform replace a resource (`ForceNew`), and where that was read.

The source is a file of hashicorp/terraform-provider-aws, or `CREATE_ONLY`: the property is fixed at creation by
CloudFormation's schema, so that no provider can change it. A test compares the two. An argument is a path of names from
the resource down, and stands for all below it.
"""

ASSOCIATION = "internal/service/wafv2/web_acl_association.go"
ATTACHMENT = "internal/service/iam/role_policy_attachment.go"
BALANCER = "internal/service/elbv2/load_balancer.go"
BUCKET = "website/docs/r/s3_bucket.html.markdown"
CAPACITY_PROVIDER = "internal/service/ecs/capacity_provider.go"
CLUSTER_PROVIDERS = "internal/service/ecs/cluster_capacity_providers.go"
DEFAULT_SETTING = "internal/service/ecs/account_setting_default.go"
FLOW_LOG = "internal/service/ec2/vpc_flow_log.go"
GROUP = "internal/service/ec2/vpc_security_group.go"
GROUP_RULE = "internal/service/ec2/vpc_security_group_ingress_rule.go"
IMAGES = "internal/service/ecr/repository.go"
IMAGES_LIFECYCLE = "internal/service/ecr/lifecycle_policy.go"
LISTENER = "internal/service/elbv2/listener.go"
LOGGING = "internal/service/wafv2/web_acl_logging_configuration.go"
NAT = "internal/service/ec2/vpc_nat_gateway.go"
QUEUE = "internal/service/sqs/queue.go"
QUEUE_ALLOW = "internal/service/sqs/queue_redrive_allow_policy.go"
QUEUE_POLICY = "internal/service/sqs/queue_policy.go"
RECORD = "internal/service/route53/record.go"
RULE = "internal/service/elbv2/listener_rule.go"
SECRET = "internal/service/secretsmanager/secret.go"
SERVICE = "internal/service/ecs/service.go"
TABLE = "internal/service/dynamodb/table.go"
TARGETS = "internal/service/elbv2/target_group.go"
TASK = "internal/service/ecs/task_definition.go"
TOPIC_POLICY = "internal/service/sns/topic_policy.go"
VALIDATION = "internal/service/acm/certificate_validation.go"
WEB_ACL = "internal/service/wafv2/web_acl.go"

CREATE_ONLY = "createOnlyProperties of the CloudFormation schema"

REPLACING: dict[str, tuple[tuple[str, ...], str]] = {
    "aws_acm_certificate": (("domain_name",), CREATE_ONLY),
    "aws_acm_certificate_validation": (("certificate_arn", "validation_record_fqdns"), VALIDATION),
    "aws_appautoscaling_policy": (("name", "resource_id", "scalable_dimension", "service_namespace"), CREATE_ONLY),
    "aws_appautoscaling_target": (("resource_id", "scalable_dimension", "service_namespace"), CREATE_ONLY),
    "aws_autoscaling_group": (("name",), CREATE_ONLY),
    "aws_cloudwatch_dashboard": (("dashboard_name",), CREATE_ONLY),
    "aws_cloudwatch_log_group": (("name",), CREATE_ONLY),
    "aws_cloudwatch_log_metric_filter": (("log_group_name", "name"), CREATE_ONLY),
    "aws_cloudwatch_metric_alarm": (("alarm_name",), CREATE_ONLY),
    "aws_default_security_group": ((), "one for each VPC, adopted under the VPC's id"),
    "aws_dynamodb_table": (("hash_key", "name", "range_key"), TABLE),
    "aws_ecr_lifecycle_policy": (("policy", "repository"), IMAGES_LIFECYCLE),
    "aws_ecr_repository": (("encryption_configuration", "name"), IMAGES),
    "aws_ecs_account_setting_default": (("name",), DEFAULT_SETTING),
    "aws_ecs_capacity_provider": (("auto_scaling_group_provider.auto_scaling_group_arn", "name"), CAPACITY_PROVIDER),
    "aws_ecs_cluster": (("name",), CREATE_ONLY),
    "aws_ecs_cluster_capacity_providers": (("cluster_name",), CLUSTER_PROVIDERS),
    "aws_ecs_service": (("cluster", "name"), SERVICE),
    "aws_ecs_task_definition": (
        (
            "container_definitions",
            "cpu",
            "execution_role_arn",
            "family",
            "memory",
            "network_mode",
            "requires_compatibilities",
            "runtime_platform",
            "task_role_arn",
            "volume",
        ),
        TASK,
    ),
    "aws_eip": ((), CREATE_ONLY),
    "aws_flow_log": (("iam_role_arn", "log_destination", "traffic_type", "vpc_id"), FLOW_LOG),
    "aws_iam_instance_profile": (("name", "path"), CREATE_ONLY),
    "aws_iam_openid_connect_provider": (("url",), CREATE_ONLY),
    "aws_iam_policy": (("description", "name", "path"), CREATE_ONLY),
    "aws_iam_role": (("name", "path"), CREATE_ONLY),
    "aws_iam_role_policy": (("name", "role"), CREATE_ONLY),
    "aws_iam_role_policy_attachment": (("policy_arn", "role"), ATTACHMENT),
    "aws_internet_gateway": ((), "it can be moved to another VPC"),
    "aws_kms_alias": (("name",), CREATE_ONLY),
    "aws_kms_key": ((), CREATE_ONLY),
    "aws_launch_template": (("name",), CREATE_ONLY),
    "aws_lb": (("internal", "load_balancer_type", "name"), BALANCER),
    "aws_lb_listener": (("load_balancer_arn",), LISTENER),
    "aws_lb_listener_rule": (("listener_arn",), RULE),
    "aws_lb_target_group": (("name", "port", "protocol", "target_type", "vpc_id"), TARGETS),
    "aws_nat_gateway": (("allocation_id", "subnet_id"), NAT),
    "aws_pipes_pipe": (
        ("name", "source", "source_parameters.dynamodb_stream_parameters.starting_position"),
        CREATE_ONLY,
    ),
    "aws_route": (("destination_cidr_block", "route_table_id"), CREATE_ONLY),
    "aws_route53_record": (("name", "zone_id"), RECORD),
    "aws_route_table": (("vpc_id",), CREATE_ONLY),
    "aws_route_table_association": (("subnet_id",), CREATE_ONLY),
    "aws_s3_bucket": (("bucket_prefix",), BUCKET),
    "aws_s3_bucket_lifecycle_configuration": (("bucket",), CREATE_ONLY),
    "aws_s3_bucket_policy": (("bucket",), CREATE_ONLY),
    "aws_s3_bucket_public_access_block": (("bucket",), CREATE_ONLY),
    "aws_s3_bucket_server_side_encryption_configuration": (("bucket",), CREATE_ONLY),
    "aws_secretsmanager_secret": (("name",), SECRET),
    "aws_security_group": (("description", "name", "name_prefix", "vpc_id"), GROUP),
    "aws_sns_topic": (("name",), CREATE_ONLY),
    "aws_sns_topic_policy": (("arn",), TOPIC_POLICY),
    "aws_sns_topic_subscription": (("endpoint", "protocol", "topic_arn"), CREATE_ONLY),
    "aws_sqs_queue": (("name",), QUEUE),
    "aws_sqs_queue_policy": (("queue_url",), QUEUE_POLICY),
    "aws_sqs_queue_redrive_allow_policy": (("queue_url",), QUEUE_ALLOW),
    "aws_subnet": (("availability_zone", "cidr_block", "vpc_id"), CREATE_ONLY),
    "aws_vpc": (("cidr_block",), CREATE_ONLY),
    "aws_vpc_endpoint": (("service_name", "vpc_endpoint_type", "vpc_id"), CREATE_ONLY),
    "aws_vpc_security_group_egress_rule": (("security_group_id",), GROUP_RULE),
    "aws_vpc_security_group_ingress_rule": (("security_group_id",), GROUP_RULE),
    "aws_wafv2_web_acl": (("name", "scope"), WEB_ACL),
    "aws_wafv2_web_acl_association": (("resource_arn", "web_acl_arn"), ASSOCIATION),
    "aws_wafv2_web_acl_logging_configuration": (("log_destination_configs", "resource_arn"), LOGGING),
}
"""Every type that the stacks have, with what replaces it: nothing, where there is no argument."""

REPLACING_WHEN_LOWER = {
    "aws_dynamodb_table": (
        ("warm_throughput.read_units_per_second", "warm_throughput.write_units_per_second"),
        TABLE,
    ),
}
"""Numbers that replace the resource only if they fall (`customdiff.ForceNewIfChange`)."""

COMPUTED = {"aws_dynamodb_table": (("global_secondary_index.warm_throughput", "warm_throughput"), TABLE)}
"""Arguments that stay as AWS has them while the configuration does not set them (`Optional` and `Computed`)."""

UNKNOWN_AFTER_UPDATE = {"aws_cloudcontrolapi_resource": (("properties",), "internal/service/cloudcontrol/resource.go")}
"""Attributes that a plan does not know once anything of their resource changes (`SetNewComputed`)."""

RULE_CHANGES = "EC2 changes a rule in place: ModifySecurityGroupRules"

OTHERWISE = {
    "aws_internet_gateway": (("vpc_id",), "it is detached, and attached to the other VPC"),
    "aws_route_table_association": (("route_table_id",), "ReplaceRouteTableAssociation"),
    "aws_vpc_security_group_egress_rule": (
        ("cidr_ipv4", "from_port", "ip_protocol", "prefix_list_id", "to_port"),
        RULE_CHANGES,
    ),
    "aws_vpc_security_group_ingress_rule": (
        ("cidr_ipv4", "from_port", "ip_protocol", "referenced_security_group_id", "to_port"),
        RULE_CHANGES,
    ),
}
"""Arguments that CloudFormation fixes at creation and the provider does not, with what it does instead."""
