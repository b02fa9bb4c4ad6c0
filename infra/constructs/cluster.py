"""ECS cluster, with the capacity providers of its tasks."""

from typing import TYPE_CHECKING

from cdktn_provider_aws.ecs_cluster import EcsCluster, EcsClusterSetting
from cdktn_provider_aws.ecs_cluster_capacity_providers import EcsClusterCapacityProviders

from infra.constructs.instances import InstanceCapacity
from infra.constructs.logs import LogGroup
from infra.constructs.network import Network
from infra.constructs.workspace import Workspace
from infra.environments import Capacity, Environment, Insights
from infra.naming import insights_log_group, instances_provider

if TYPE_CHECKING:
    from cdktn import ITerraformDependable

FARGATE = "FARGATE"
FARGATE_SPOT = "FARGATE_SPOT"


def capacity_provider(capacity: Capacity, cluster_owner: str) -> str:
    """Return the name of the capacity provider for a kind of capacity in a cluster."""
    names = {Capacity.FARGATE: FARGATE, Capacity.FARGATE_SPOT: FARGATE_SPOT}
    return names.get(capacity) or instances_provider(cluster_owner)


class Cluster:
    def __init__(self, stack: Workspace, environment: Environment, network: Network, *, logs_key_arn: str) -> None:
        first: list[ITerraformDependable] = []
        if environment.insights is not Insights.DISABLED:
            # Without this log group, ECS would create one with neither our key nor a retention period.
            insights = LogGroup(
                stack,
                "container-insights",
                key_arn=logs_key_arn,
                days=environment.log_days,
                name=insights_log_group(environment.name),
            )
            first.append(insights.group)
        self.cluster = EcsCluster(
            stack,
            "cluster",
            name=environment.name,
            setting=[EcsClusterSetting(name="containerInsights", value=environment.insights.value)],
            depends_on=first,
        )
        # Every cluster has both, because feature environments use Spot even if their host uses Fargate.
        providers = [FARGATE, FARGATE_SPOT]
        ready: list[ITerraformDependable] = []
        if environment.has_instances:
            instances = InstanceCapacity(
                stack,
                environment,
                network,
                cluster=self.cluster,
                provider_name=capacity_provider(Capacity.EC2, environment.name),
            )
            providers.append(instances.provider.name)
            ready.append(instances.provider)
        EcsClusterCapacityProviders(
            stack,
            "cluster_capacity_providers",
            cluster_name=self.cluster.name,
            capacity_providers=providers,
            depends_on=ready,
        )
