"""CloudFormation's type of each Terraform type, and its property of each argument.

Names are matched without case, underscores and a plural's ending, and `name` also as `<Type>Name`. Only exceptions are
listed. A property of another type is written `AWS::Service::Type#Property`.
"""

TYPES = {
    "aws_acm_certificate": "AWS::CertificateManager::Certificate",
    "aws_appautoscaling_policy": "AWS::ApplicationAutoScaling::ScalingPolicy",
    "aws_appautoscaling_target": "AWS::ApplicationAutoScaling::ScalableTarget",
    "aws_autoscaling_group": "AWS::AutoScaling::AutoScalingGroup",
    "aws_cloudwatch_dashboard": "AWS::CloudWatch::Dashboard",
    "aws_cloudwatch_log_group": "AWS::Logs::LogGroup",
    "aws_cloudwatch_log_metric_filter": "AWS::Logs::MetricFilter",
    "aws_cloudwatch_metric_alarm": "AWS::CloudWatch::Alarm",
    "aws_dynamodb_table": "AWS::DynamoDB::Table",
    "aws_ecr_lifecycle_policy": "AWS::ECR::Repository",
    "aws_ecr_repository": "AWS::ECR::Repository",
    "aws_ecs_capacity_provider": "AWS::ECS::CapacityProvider",
    "aws_ecs_cluster": "AWS::ECS::Cluster",
    "aws_ecs_cluster_capacity_providers": "AWS::ECS::ClusterCapacityProviderAssociations",
    "aws_ecs_service": "AWS::ECS::Service",
    "aws_ecs_task_definition": "AWS::ECS::TaskDefinition",
    "aws_eip": "AWS::EC2::EIP",
    "aws_flow_log": "AWS::EC2::FlowLog",
    "aws_iam_instance_profile": "AWS::IAM::InstanceProfile",
    "aws_iam_openid_connect_provider": "AWS::IAM::OIDCProvider",
    "aws_iam_policy": "AWS::IAM::ManagedPolicy",
    "aws_iam_role": "AWS::IAM::Role",
    "aws_iam_role_policy": "AWS::IAM::RolePolicy",
    "aws_iam_role_policy_attachment": "AWS::IAM::Role",
    "aws_internet_gateway": "AWS::EC2::VPCGatewayAttachment",
    "aws_kms_alias": "AWS::KMS::Alias",
    "aws_kms_key": "AWS::KMS::Key",
    "aws_launch_template": "AWS::EC2::LaunchTemplate",
    "aws_lb": "AWS::ElasticLoadBalancingV2::LoadBalancer",
    "aws_lb_listener": "AWS::ElasticLoadBalancingV2::Listener",
    "aws_lb_listener_rule": "AWS::ElasticLoadBalancingV2::ListenerRule",
    "aws_lb_target_group": "AWS::ElasticLoadBalancingV2::TargetGroup",
    "aws_nat_gateway": "AWS::EC2::NatGateway",
    "aws_pipes_pipe": "AWS::Pipes::Pipe",
    "aws_route": "AWS::EC2::Route",
    "aws_route53_record": "AWS::Route53::RecordSet",
    "aws_route_table": "AWS::EC2::RouteTable",
    "aws_route_table_association": "AWS::EC2::SubnetRouteTableAssociation",
    "aws_s3_bucket": "AWS::S3::Bucket",
    "aws_s3_bucket_lifecycle_configuration": "AWS::S3::Bucket",
    "aws_s3_bucket_policy": "AWS::S3::BucketPolicy",
    "aws_s3_bucket_public_access_block": "AWS::S3::Bucket",
    "aws_s3_bucket_server_side_encryption_configuration": "AWS::S3::Bucket",
    "aws_secretsmanager_secret": "AWS::SecretsManager::Secret",
    "aws_security_group": "AWS::EC2::SecurityGroup",
    "aws_sns_topic": "AWS::SNS::Topic",
    "aws_sns_topic_policy": "AWS::SNS::TopicPolicy",
    "aws_sns_topic_subscription": "AWS::SNS::Subscription",
    "aws_sqs_queue": "AWS::SQS::Queue",
    "aws_sqs_queue_policy": "AWS::SQS::QueuePolicy",
    "aws_sqs_queue_redrive_allow_policy": "AWS::SQS::Queue",
    "aws_subnet": "AWS::EC2::Subnet",
    "aws_vpc": "AWS::EC2::VPC",
    "aws_vpc_endpoint": "AWS::EC2::VPCEndpoint",
    "aws_vpc_security_group_egress_rule": "AWS::EC2::SecurityGroupEgress",
    "aws_vpc_security_group_ingress_rule": "AWS::EC2::SecurityGroupIngress",
    "aws_wafv2_web_acl": "AWS::WAFv2::WebACL",
    "aws_wafv2_web_acl_association": "AWS::WAFv2::WebACLAssociation",
    "aws_wafv2_web_acl_logging_configuration": "AWS::WAFv2::LoggingConfiguration",
}

UNCOVERED = {
    "aws_acm_certificate_validation": "waits for a certificate: nothing of AWS's is made",
    "aws_default_security_group": "adopts the group that AWS makes with a VPC",
    "aws_ecs_account_setting_default": "CloudFormation has no type for it; the API call is checked instead",
}
"""Types that no schema covers, and why."""

TRANSLATED = {
    "aws_ecs_service": {"network_configuration.assign_public_ip": "true and false become ENABLED and DISABLED"},
}
"""Arguments whose value the provider translates: the schema of the property describes the translation."""

PROPERTIES: dict[str, dict[str, str]] = {
    "aws_appautoscaling_policy": {"name": "PolicyName"},
    "aws_autoscaling_group": {
        "launch_template.id": "LaunchTemplate.LaunchTemplateId",
        "protect_from_scale_in": "NewInstancesProtectedFromScaleIn",
    },
    "aws_cloudwatch_log_metric_filter": {
        "metric_transformation.name": "MetricTransformations.MetricName",
        "metric_transformation.namespace": "MetricTransformations.MetricNamespace",
        "metric_transformation.value": "MetricTransformations.MetricValue",
        "name": "FilterName",
        "pattern": "FilterPattern",
    },
    "aws_cloudwatch_metric_alarm": {
        "metric_query": "Metrics",
        "metric_query.metric": "Metrics.MetricStat",
        "metric_query.metric.dimensions": "Metrics.MetricStat.Metric.Dimensions",
        "metric_query.metric.metric_name": "Metrics.MetricStat.Metric.MetricName",
        "metric_query.metric.namespace": "Metrics.MetricStat.Metric.Namespace",
    },
    "aws_dynamodb_table": {
        "attribute.name": "AttributeDefinitions.AttributeName",
        "attribute.type": "AttributeDefinitions.AttributeType",
        "global_secondary_index": "GlobalSecondaryIndexes",
        "global_secondary_index.hash_key": "GlobalSecondaryIndexes.KeySchema.AttributeName",
        "global_secondary_index.name": "GlobalSecondaryIndexes.IndexName",
        "global_secondary_index.non_key_attributes": "GlobalSecondaryIndexes.Projection.NonKeyAttributes",
        "global_secondary_index.projection_type": "GlobalSecondaryIndexes.Projection.ProjectionType",
        "global_secondary_index.range_key": "GlobalSecondaryIndexes.KeySchema.AttributeName",
        "global_secondary_index.read_capacity": "GlobalSecondaryIndexes.ProvisionedThroughput.ReadCapacityUnits",
        "global_secondary_index.write_capacity": "GlobalSecondaryIndexes.ProvisionedThroughput.WriteCapacityUnits",
        "hash_key": "KeySchema.AttributeName",
        "point_in_time_recovery": "PointInTimeRecoverySpecification",
        "point_in_time_recovery.enabled": "PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled",
        "range_key": "KeySchema.AttributeName",
        "read_capacity": "ProvisionedThroughput.ReadCapacityUnits",
        "replica": "AWS::DynamoDB::GlobalTable#Replicas",
        "replica.kms_key_arn": "AWS::DynamoDB::GlobalTable#Replicas.SSESpecification.KMSMasterKeyId",
        "replica.point_in_time_recovery": (
            "AWS::DynamoDB::GlobalTable#Replicas.PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled"
        ),
        "replica.region_name": "AWS::DynamoDB::GlobalTable#Replicas.Region",
        "server_side_encryption.enabled": "SSESpecification.SSEEnabled",
        "server_side_encryption.kms_key_arn": "SSESpecification.KMSMasterKeyId",
        "stream_view_type": "StreamSpecification.StreamViewType",
        "ttl": "TimeToLiveSpecification",
        "write_capacity": "ProvisionedThroughput.WriteCapacityUnits",
    },
    "aws_ecr_lifecycle_policy": {"repository": "RepositoryName"},
    "aws_ecr_repository": {
        "image_tag_mutability_exclusion_filter.filter": (
            "ImageTagMutabilityExclusionFilters.ImageTagMutabilityExclusionFilterValue"
        ),
        "image_tag_mutability_exclusion_filter.filter_type": (
            "ImageTagMutabilityExclusionFilters.ImageTagMutabilityExclusionFilterType"
        ),
    },
    "aws_ecs_cluster": {"setting": "ClusterSettings"},
    "aws_ecs_cluster_capacity_providers": {"cluster_name": "Cluster"},
    "aws_ecs_service": {
        "alarms": "DeploymentConfiguration.Alarms",
        "deployment_circuit_breaker": "DeploymentConfiguration.DeploymentCircuitBreaker",
        "deployment_maximum_percent": "DeploymentConfiguration.MaximumPercent",
        "deployment_minimum_healthy_percent": "DeploymentConfiguration.MinimumHealthyPercent",
        "network_configuration": "NetworkConfiguration.AwsvpcConfiguration",
        "ordered_placement_strategy": "PlacementStrategies",
    },
    "aws_flow_log": {"iam_role_arn": "DeliverLogsPermissionArn", "vpc_id": "ResourceId"},
    "aws_iam_policy": {"name": "ManagedPolicyName", "policy": "PolicyDocument"},
    "aws_iam_role": {"assume_role_policy": "AssumeRolePolicyDocument"},
    "aws_iam_role_policy": {"name": "PolicyName", "policy": "PolicyDocument", "role": "RoleName"},
    "aws_iam_role_policy_attachment": {"policy_arn": "ManagedPolicyArns", "role": "RoleName"},
    "aws_kms_key": {"deletion_window_in_days": "PendingWindowInDays", "policy": "KeyPolicy"},
    "aws_launch_template": {
        "": "LaunchTemplateData",
        "name": "LaunchTemplateName",
        "vpc_security_group_ids": "LaunchTemplateData.SecurityGroupIds",
    },
    "aws_lb": {"load_balancer_type": "Type"},
    "aws_lb_listener": {
        "certificate_arn": "Certificates.CertificateArn",
        "default_action.fixed_response": "DefaultActions.FixedResponseConfig",
        "default_action.redirect": "DefaultActions.RedirectConfig",
    },
    "aws_lb_listener_rule": {
        "action.forward": "Actions.ForwardConfig",
        "action.forward.target_group.arn": "Actions.ForwardConfig.TargetGroups.TargetGroupArn",
        "condition.host_header": "Conditions.HostHeaderConfig",
        "condition.path_pattern": "Conditions.PathPatternConfig",
    },
    "aws_lb_target_group": {
        "health_check.healthy_threshold": "HealthyThresholdCount",
        "health_check.interval": "HealthCheckIntervalSeconds",
        "health_check.matcher": "Matcher.HttpCode",
        "health_check.path": "HealthCheckPath",
        "health_check.timeout": "HealthCheckTimeoutSeconds",
        "health_check.unhealthy_threshold": "UnhealthyThresholdCount",
    },
    "aws_route53_record": {
        "alias.evaluate_target_health": "AliasTarget.EvaluateTargetHealth",
        "alias.name": "AliasTarget.DNSName",
        "alias.zone_id": "AliasTarget.HostedZoneId",
        "records": "ResourceRecords",
        "weighted_routing_policy.weight": "Weight",
        "zone_id": "HostedZoneId",
    },
    "aws_s3_bucket_lifecycle_configuration": {
        "bucket": "BucketName",
        "rule": "LifecycleConfiguration.Rules",
        "rule.expiration.days": "LifecycleConfiguration.Rules.ExpirationInDays",
        "rule.filter.prefix": "LifecycleConfiguration.Rules.Prefix",
    },
    "aws_s3_bucket_policy": {"policy": "PolicyDocument"},
    "aws_s3_bucket_public_access_block": {"": "PublicAccessBlockConfiguration", "bucket": "BucketName"},
    "aws_s3_bucket_server_side_encryption_configuration": {
        "bucket": "BucketName",
        "rule": "BucketEncryption.ServerSideEncryptionConfiguration",
        "rule.apply_server_side_encryption_by_default": (
            "BucketEncryption.ServerSideEncryptionConfiguration.ServerSideEncryptionByDefault"
        ),
    },
    "aws_security_group": {"description": "GroupDescription", "name_prefix": "GroupName"},
    "aws_sns_topic_policy": {"arn": "Topics", "policy": "PolicyDocument"},
    "aws_sqs_queue": {
        "message_retention_seconds": "MessageRetentionPeriod",
        "visibility_timeout_seconds": "VisibilityTimeout",
    },
    "aws_sqs_queue_policy": {"policy": "PolicyDocument", "queue_url": "Queues"},
    "aws_vpc_security_group_egress_rule": {
        "cidr_ipv4": "CidrIp",
        "prefix_list_id": "DestinationPrefixListId",
        "security_group_id": "GroupId",
    },
    "aws_vpc_security_group_ingress_rule": {
        "cidr_ipv4": "CidrIp",
        "referenced_security_group_id": "SourceSecurityGroupId",
        "security_group_id": "GroupId",
    },
    "aws_wafv2_web_acl": {"rule_json": "Rules"},
}
"""Property of each argument whose name differs from it. An exception for a block holds for its arguments too."""
