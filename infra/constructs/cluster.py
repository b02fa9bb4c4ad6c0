"""The ECS cluster, and what its tasks run on."""

from typing import TYPE_CHECKING

from cdktn_provider_aws.ecs_cluster import EcsCluster, EcsClusterSetting
from cdktn_provider_aws.ecs_cluster_capacity_providers import EcsClusterCapacityProviders

from infra.constructs.instances import InstanceCapacity
from infra.constructs.network import Network
from infra.constructs.workspace import Workspace
from infra.environments import Capacity, Environment

if TYPE_CHECKING:
    from cdktn import ITerraformDependable

FARGATE = "FARGATE"
FARGATE_SPOT = "FARGATE_SPOT"


def capacity_provider(capacity: Capacity, cluster_owner: str) -> str:
    """The name of the capacity provider that a service asks for."""
    names = {Capacity.FARGATE: FARGATE, Capacity.FARGATE_SPOT: FARGATE_SPOT}
    return names.get(capacity) or f"{cluster_owner}-instances"


class Cluster:
    def __init__(self, stack: Workspace, environment: Environment, network: Network) -> None:
        self.cluster = EcsCluster(
            stack,
            "cluster",
            name=environment.name,
            setting=[EcsClusterSetting(name="containerInsights", value=environment.insights.value)],
        )
        # Feature environments run on Spot whatever their host runs on.
        providers = [FARGATE, FARGATE_SPOT]
        first: list[ITerraformDependable] = []
        if environment.capacity is Capacity.EC2:
            instances = InstanceCapacity(
                stack,
                environment,
                network,
                provider_name=capacity_provider(Capacity.EC2, environment.name),
            )
            providers.append(instances.provider.name)
            first.append(instances.provider)
        EcsClusterCapacityProviders(
            stack,
            "cluster_capacity_providers",
            cluster_name=self.cluster.name,
            capacity_providers=providers,
            depends_on=first,
        )
