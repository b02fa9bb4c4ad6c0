"""EC2 instances for tasks, in an auto scaling group that ECS scales through a capacity provider."""

import base64
import json

from cdktn import TerraformResourceLifecycle
from cdktn_provider_aws.autoscaling_group import (
    AutoscalingGroup,
    AutoscalingGroupInstanceRefresh,
    AutoscalingGroupInstanceRefreshPreferences,
    AutoscalingGroupLaunchTemplate,
    AutoscalingGroupTag,
)
from cdktn_provider_aws.data_aws_ssm_parameter import DataAwsSsmParameter
from cdktn_provider_aws.ecs_capacity_provider import (
    EcsCapacityProvider,
    EcsCapacityProviderAutoScalingGroupProvider,
    EcsCapacityProviderAutoScalingGroupProviderManagedScaling,
)
from cdktn_provider_aws.ecs_cluster import EcsCluster
from cdktn_provider_aws.iam_instance_profile import IamInstanceProfile
from cdktn_provider_aws.launch_template import (
    LaunchTemplate,
    LaunchTemplateBlockDeviceMappings,
    LaunchTemplateBlockDeviceMappingsEbs,
    LaunchTemplateIamInstanceProfile,
    LaunchTemplateMetadataOptions,
    LaunchTemplateMonitoring,
    LaunchTemplateTagSpecifications,
)
from cdktn_provider_aws.vpc_security_group_egress_rule import VpcSecurityGroupEgressRule

from infra.constructs.network import ANYWHERE, HTTPS, Network
from infra.constructs.policies import trust
from infra.constructs.roles import Role
from infra.constructs.security_groups import egress_rule, security_group
from infra.constructs.workspace import ROLE_PATH, Workspace
from infra.environments import Architecture, Environment
from infra.naming import ROLE_LENGTH, name

MANAGED_POLICIES = (
    "arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role",
    "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore",  # a shell without SSH and without a key pair
)

DISK_GB = 30
WARMUP_SECONDS = 120


class InstanceCapacity:
    def __init__(
        self,
        stack: Workspace,
        environment: Environment,
        network: Network,
        *,
        cluster: EcsCluster,
        provider_name: str,
    ) -> None:
        template, egress = _launch_template(stack, environment, network)
        group = AutoscalingGroup(
            stack,
            "instances",
            name=f"{environment.name}-instances",
            min_size=environment.instances.minimum,
            max_size=environment.instances.maximum,
            vpc_zone_identifier=[subnet.id for subnet in network.private_subnets],
            launch_template=AutoscalingGroupLaunchTemplate(id=template.id, version="$Latest"),
            health_check_type="EC2",
            # ECS terminates only instances without tasks. It can protect the others only if this is set.
            protect_from_scale_in=True,
            force_delete=True,
            # A change of the template, such as a new machine image, replaces running instances too; tasks drain first.
            instance_refresh=AutoscalingGroupInstanceRefresh(
                strategy="Rolling",
                preferences=AutoscalingGroupInstanceRefreshPreferences(
                    min_healthy_percentage=90, scale_in_protected_instances="Refresh"
                ),
            ),
            tag=[
                # ECS adds this tag by itself; it is named here so that a plan does not remove it.
                AutoscalingGroupTag(key="AmazonECSManaged", value="true", propagate_at_launch=True),
                *(
                    AutoscalingGroupTag(key=key, value=value, propagate_at_launch=True)
                    for key, value in stack.tags.items()
                ),
            ],
            lifecycle=TerraformResourceLifecycle(ignore_changes=["desired_capacity"]),
            depends_on=[cluster, egress],  # instances find the cluster by its name, over HTTPS
        )
        self.provider = EcsCapacityProvider(
            stack,
            "instances_capacity_provider",
            name=provider_name,
            auto_scaling_group_provider=EcsCapacityProviderAutoScalingGroupProvider(
                auto_scaling_group_arn=group.arn,
                managed_termination_protection="ENABLED",
                managed_draining="ENABLED",
                managed_scaling=EcsCapacityProviderAutoScalingGroupProviderManagedScaling(
                    status="ENABLED",
                    target_capacity=environment.instances.target_capacity,
                    minimum_scaling_step_size=environment.instances.minimum_step,
                    maximum_scaling_step_size=environment.instances.maximum_step,
                    instance_warmup_period=WARMUP_SECONDS,
                ),
            ),
            # On destruction the cluster is detached first: ECS deletes no provider that a cluster uses.
            lifecycle=TerraformResourceLifecycle(create_before_destroy=True),
        )


def _launch_template(
    stack: Workspace, environment: Environment, network: Network
) -> tuple[LaunchTemplate, VpcSecurityGroupEgressRule]:
    """Create the launch template, and the egress rule of its security group. Return both.

    The group of instances must depend on the egress rule, since the template does not refer to it.
    """
    role = Role(
        stack,
        "instance",
        description="Instances that join the cluster",
        # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/instance_IAM_role.html
        trust=trust("ec2.amazonaws.com"),
        managed_policy_arns=MANAGED_POLICIES,
    )
    profile = IamInstanceProfile(
        stack,
        "instance_profile",
        name=name(stack.owner, stack.region, "instance", limit=ROLE_LENGTH),
        path=ROLE_PATH,
        role=role.role.name,
        # An instance that starts without these policies never joins the cluster, and ECS waits for it.
        depends_on=role.policies,
    )
    # Tasks have their own interfaces and security groups: this group is for the ECS agent only.
    group = security_group(
        stack,
        "instances_security_group",
        prefix=f"{environment.name}-instances",
        description="The agent on instances: HTTPS out, nothing in",
        vpc_id=network.vpc.id,
    )
    egress = egress_rule(stack, "instances_egress", group, HTTPS, description="AWS", cidr_ipv4=ANYWHERE)
    architecture = "arm64/" if environment.architecture is Architecture.ARM64 else ""
    image = DataAwsSsmParameter(
        stack,
        "instance_image",
        name=f"/aws/service/ecs/optimized-ami/amazon-linux-2023/{architecture}recommended/image_id",
    )
    template = LaunchTemplate(
        stack,
        "instance_template",
        name=f"{environment.name}-instances",
        image_id=image.value,
        instance_type=environment.instances.type,
        iam_instance_profile=LaunchTemplateIamInstanceProfile(arn=profile.arn),
        vpc_security_group_ids=[group.id],
        monitoring=LaunchTemplateMonitoring(enabled=True),
        # Tokens required, and one hop: a task cannot reach the instance's credentials.
        metadata_options=LaunchTemplateMetadataOptions(
            http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
        ),
        block_device_mappings=[
            LaunchTemplateBlockDeviceMappings(
                device_name="/dev/xvda",
                ebs=LaunchTemplateBlockDeviceMappingsEbs(
                    volume_size=DISK_GB, volume_type="gp3", encrypted="true", delete_on_termination="true"
                ),
            )
        ],
        tag_specifications=[
            LaunchTemplateTagSpecifications(resource_type=kind, tags=stack.tags) for kind in ("instance", "volume")
        ],
        user_data=base64.b64encode(_user_data(environment.name).encode()).decode(),
        update_default_version=True,
    )
    return template, egress


def _user_data(cluster_name: str) -> str:
    settings = {
        "ECS_CLUSTER": cluster_name,
        "ECS_AWSVPC_BLOCK_IMDS": "true",
        "ECS_ENABLE_SPOT_INSTANCE_DRAINING": "true",
        "ECS_CONTAINER_STOP_TIMEOUT": "120s",
        "ECS_AVAILABLE_LOGGING_DRIVERS": json.dumps(["awslogs", "json-file"]),
    }
    lines = [f"{key}={value}" for key, value in settings.items()]
    return "\n".join(["#!/bin/bash", "cat >> /etc/ecs/ecs.config <<'END'", *lines, "END", ""])
