"""Base class of the service stacks: the outputs that they read, common settings, and the placement of tasks."""

from collections.abc import Mapping

from cdktn import App
from cdktn_provider_aws.ecs_service import EcsServiceCapacityProviderStrategy, EcsServiceOrderedPlacementStrategy

from infra.constructs.cluster import capacity_provider
from infra.constructs.keys import use_key
from infra.constructs.outputs import DataOutputs, PlatformOutputs, RegistryOutputs
from infra.constructs.policies import Statement
from infra.constructs.task import Container, Task
from infra.constructs.workspace import Workspace, supporting_owner
from infra.environments import Capacity, Environment, ServiceSize
from infra.stacks import ACCOUNT, REGISTRY, SUPPORTING, Stack
from order_shared.naming import Service, ServiceKind


class ServiceWorkspace(Workspace):
    """Stack of one service. It reads its network, cluster and data from the states of other stacks."""

    def __init__(self, app: App, service: Service, environment: Environment, region: str) -> None:
        super().__init__(app, Stack(owner=environment.name, region=region, kind=service.name))
        self.service = service
        self.environment = environment
        self.platform = self.read(
            PlatformOutputs, Stack(owner=supporting_owner(environment), region=region, kind=SUPPORTING)
        )
        self.data = self.read(DataOutputs, Stack(owner=environment.name, region=region, kind=SUPPORTING))
        self.images = self.read(RegistryOutputs, Stack(owner=ACCOUNT, region=region, kind=REGISTRY))

    @property
    def service_name(self) -> str:
        """Name of the service in the cluster, which a feature environment shares with its host."""
        return self.environment.service_name(self.service.name)

    @property
    def stands_by(self) -> bool:
        """True if this is a standby region, whose services do not write."""
        return self.region != self.environment.home

    def task(
        self,
        *,
        size: ServiceSize,
        settings: Mapping[str, str],
        secrets: Mapping[str, str],
        stop_timeout: int,
        statements: tuple[Statement, ...] = (),
    ) -> Task:
        """Create the service's task, with the settings of all services in addition to its own.

        It runs the image with the live tag of the environment.
        """
        name = self.service.name
        images, is_feature = self.images, self.environment.is_feature
        urls = images.feature_repository_urls if is_feature else images.repository_urls
        arns = images.feature_repository_arns if is_feature else images.repository_arns
        container = Container(
            service=name,
            image=f"{urls[name]}:live-{self.environment.name}",
            port=self.service.port,
            size=size,
            settings={**self.settings(), **settings},
            secrets=secrets,
            stop_timeout=stop_timeout,
            log_group_name=self.data.log_group_names[name],
            log_group_arn=self.data.log_group_arns[name],
            repository_arn=arns[name],
            statements=(*statements, self.use_data_key()),
        )
        return Task(self, self.environment, container, self.platform.data_key_arn)

    def settings(self) -> Mapping[str, str]:
        """Return the environment variables of all services, for `order_shared.runtime.config.Settings`.

        Each service derives the names of its tables and queues from the prefix.
        """
        return {
            "AWS_REGION": self.region,
            "ORDER_ENV": self.environment.stage,
            "ORDER_TABLE_PREFIX": self.environment.table_prefix,
            "ORDER_HOME_REGION": self.environment.home,
            "ORDER_OPEN_SHARDS": str(self.environment.open_shards),
            "ORDER_FORMER_MESSAGE_TYPES": str(self.environment.former_message_types).lower(),
            **self._tracing(),
        }

    def _tracing(self) -> Mapping[str, str]:
        """Return OpenTelemetry's environment variables; none without a collector.

        An HTTP service decides which requests are traced, and workers follow its decision.
        """
        traces = self.environment.traces
        if traces is None:
            return {}
        where = {"deployment.environment.name": self.environment.name, "cloud.region": self.region}
        decides = {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": str(traces.share)}
        follows = {"OTEL_TRACES_SAMPLER": "parentbased_always_off"}
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": traces.collector,
            "OTEL_RESOURCE_ATTRIBUTES": ",".join(f"{name}={value}" for name, value in where.items()),
            **(decides if self.service.kind is ServiceKind.HTTP else follows),
        }

    def use_data_key(self) -> Statement:
        return use_key(
            "UseKey",
            self.platform.data_key_arn,
            f"dynamodb.{self.region}.amazonaws.com",
            f"sqs.{self.region}.amazonaws.com",
        )

    def capacity_strategy(self) -> list[EcsServiceCapacityProviderStrategy]:
        provider = capacity_provider(self.environment.capacity, supporting_owner(self.environment))
        return [EcsServiceCapacityProviderStrategy(capacity_provider=provider, weight=1, base=0)]

    def placement(self) -> list[EcsServiceOrderedPlacementStrategy] | None:
        """Return the placement of tasks on EC2: spread over zones, then packed on as few instances as possible.

        Return None for Fargate, which itself spreads tasks over zones.
        """
        if self.environment.capacity is not Capacity.EC2:
            return None
        return [
            EcsServiceOrderedPlacementStrategy(type="spread", field="attribute:ecs.availability-zone"),
            EcsServiceOrderedPlacementStrategy(type="binpack", field="memory"),
        ]
