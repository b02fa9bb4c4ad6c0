"""ECS service, for HTTP services and workers: its capacity, deployments and number of tasks."""

from collections.abc import Sequence
from typing import Any

from cdktn import ITerraformDependable, TerraformResourceLifecycle
from cdktn_provider_aws.ecs_service import (
    EcsService,
    EcsServiceAlarms,
    EcsServiceDeploymentCircuitBreaker,
    EcsServiceDeploymentConfiguration,
    EcsServiceNetworkConfiguration,
)

from infra.constructs.scaling import Scaling
from infra.constructs.service_groups import service_security_group
from infra.constructs.task import Task
from infra.services.workspace import ServiceWorkspace


def run_service(
    stack: ServiceWorkspace,
    task: Task,
    *,
    minimum: int,
    maximum: int,
    deployment: EcsServiceDeploymentConfiguration,
    alarm_names: Sequence[str],
    needs: Sequence[ITerraformDependable] = (),
    **traffic: Any,
) -> Scaling:
    """Create the ECS service of a stack, and return its scaling without policies.

    The alarms in `alarm_names` roll back a deployment. The resources in `needs` are created before the service and
    destroyed after it. `traffic` has further arguments of `EcsService`.
    """
    group = service_security_group(stack, stack.environment, stack.platform, stack.service)
    service = EcsService(
        stack,
        "service",
        name=stack.service_name,
        cluster=stack.platform.cluster_arn,
        task_definition=task.definition.arn,
        desired_count=minimum,
        capacity_provider_strategy=stack.capacity_strategy(),
        ordered_placement_strategy=stack.placement(),
        # A change of the capacity provider requires this argument. By itself it starts no deployment.
        force_new_deployment=True,
        availability_zone_rebalancing="ENABLED",
        # New tasks take over their share of the load before an old task drains.
        deployment_minimum_healthy_percent=100,
        deployment_maximum_percent=200,
        deployment_configuration=deployment,
        # Tasks that never start trigger no alarm, and a deployment stage may last for up to a day.
        deployment_circuit_breaker=EcsServiceDeploymentCircuitBreaker(enable=True, rollback=True),
        alarms=EcsServiceAlarms(alarm_names=list(alarm_names), enable=True, rollback=True),
        enable_execute_command=stack.environment.exec,
        enable_ecs_managed_tags=True,
        propagate_tags="SERVICE",
        network_configuration=EcsServiceNetworkConfiguration(
            subnets=list(stack.platform.private_subnet_ids),
            security_groups=[group.id],
            assign_public_ip=False,
        ),
        # Autoscaling changes the count.
        lifecycle=TerraformResourceLifecycle(ignore_changes=["desired_count"]),
        depends_on=[*needs, *group.rules, *task.execution_role.policies, *task.task_role.policies],
        **traffic,
    )
    return Scaling(
        stack,
        service,
        cluster=stack.platform.cluster_name,
        name=stack.service_name,
        minimum=minimum,
        maximum=maximum,
    )
