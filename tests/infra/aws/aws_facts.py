"""Facts of AWS's own pages on arguments that neither a schema nor the model of an API describes in full."""

from tests.infra.aws.rules import Fact, at_least, between, boolean, length, matches, one_of, reference

EC2_TEXT = r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{0,255}"
"""Characters of group and rule descriptions: no apostrophe, no quotation mark, no letter beyond ASCII."""

ACCOUNT_SETTING = "https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PutAccountSettingDefault.html"
BALANCER = "https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerAttribute.html"
ECR_QUOTAS = "https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html"
GROUP = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html"
GROUP_RULE = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpRange.html"
LIFECYCLE = "https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html"
LOGS = "https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_LogConfiguration.html"
LOG_STREAM = "https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogStream.html"
PREFERENCES = "https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_RefreshPreferences.html"
REDRIVE = "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html"
REFRESH = "https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_StartInstanceRefresh.html"
REGION = "https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ReplicaRegionType.html"
TARGETS = "https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetGroupAttribute.html"
TLS = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html"

AWS_FACTS: dict[str, dict[str, Fact]] = {
    "aws_autoscaling_group": {
        "instance_refresh.preferences.min_healthy_percentage": Fact(between(0, 100), PREFERENCES),
        "instance_refresh.preferences.scale_in_protected_instances": Fact(
            one_of("Refresh", "Ignore", "Wait"), PREFERENCES
        ),
        "instance_refresh.strategy": Fact(one_of("Rolling"), REFRESH),
    },
    "aws_ecr_lifecycle_policy": {
        "policy.rules.action.type": Fact(one_of("expire", "transition"), LIFECYCLE),
        # The page on rules has no limit for this; a whole policy has one.
        "policy.rules.description": Fact(length(0, 30_720), ECR_QUOTAS),
        "policy.rules.rulePriority": Fact(at_least(1), LIFECYCLE),
        "policy.rules.selection.countNumber": Fact(at_least(1), LIFECYCLE),
        "policy.rules.selection.countType": Fact(
            one_of("imageCountMoreThan", "sinceImagePulled", "sinceImagePushed", "sinceImageTransitioned"), LIFECYCLE
        ),
        "policy.rules.selection.countUnit": Fact(one_of("days"), LIFECYCLE),
        "policy.rules.selection.tagPatternList": Fact(matches(r"[^*]*(\*[^*]*){0,4}"), LIFECYCLE),
        "policy.rules.selection.tagStatus": Fact(one_of("tagged", "untagged", "any"), LIFECYCLE),
    },
    "aws_ecs_account_setting_default": {
        "name": Fact(one_of("awsvpcTrunking"), ACCOUNT_SETTING),
        "value": Fact(one_of("enabled", "disabled"), ACCOUNT_SETTING),
    },
    "aws_ecs_task_definition": {
        "container_definitions.logConfiguration.options.awslogs-group": Fact(reference, LOGS),
        "container_definitions.logConfiguration.options.awslogs-region": Fact(matches(r"([a-z]+-)+\d+"), REGION),
        "container_definitions.logConfiguration.options.awslogs-stream-prefix": Fact(matches("[^:*]+"), LOG_STREAM),
        # The page has one size only, `10m`. The other units are Docker's.
        "container_definitions.logConfiguration.options.max-buffer-size": Fact(matches("[0-9]+[bkmg]?"), LOGS),
        "container_definitions.logConfiguration.options.mode": Fact(one_of("blocking", "non-blocking"), LOGS),
    },
    "aws_lb": {
        "access_logs.bucket": Fact(reference, BALANCER),
        "access_logs.enabled": Fact(boolean, BALANCER),
        "desync_mitigation_mode": Fact(one_of("monitor", "defensive", "strictest"), BALANCER),
        "drop_invalid_header_fields": Fact(boolean, BALANCER),
        "enable_deletion_protection": Fact(boolean, BALANCER),
        "idle_timeout": Fact(between(1, 4000), BALANCER),
    },
    "aws_lb_listener": {
        "ssl_policy": Fact(matches(r"ELBSecurityPolicy-TLS13-1-[0123](-[A-Za-z0-9]+)*-\d{4}-\d{2}"), TLS),
    },
    "aws_lb_target_group": {
        "deregistration_delay": Fact(between(0, 3600), TARGETS),
        "load_balancing_algorithm_type": Fact(
            one_of("round_robin", "least_outstanding_requests", "weighted_random"), TARGETS
        ),
    },
    "aws_security_group": {"description": Fact(matches(EC2_TEXT), GROUP)},
    "aws_sqs_queue_redrive_allow_policy": {
        "redrive_allow_policy.redrivePermission": Fact(one_of("allowAll", "denyAll", "byQueue"), REDRIVE),
        "redrive_allow_policy.sourceQueueArns": Fact(reference, REDRIVE),
    },
    "aws_vpc_security_group_egress_rule": {"description": Fact(matches(EC2_TEXT), GROUP_RULE)},
    "aws_vpc_security_group_ingress_rule": {"description": Fact(matches(EC2_TEXT), GROUP_RULE)},
}
