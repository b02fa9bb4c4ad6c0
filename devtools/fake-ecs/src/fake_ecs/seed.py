"""Initial state of the fake, as after Terraform: repositories, images, rules, alarms, services."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fake_ecs.cloud import AwsCloud
from fake_ecs.engine import Engine, TaskDefinition
from fake_ecs.images import PLATFORMS, REVISION_LABEL, push_image, tag_image
from fake_ecs.model import Balancing, Configuration, PauseHook, Stage, Strategy

MOVABLE_TAGS = ("live-*", "previous-*")
PORT = 8080
HTTPS_PORT = 443
TEST_PORT = 8443
VPC = "vpc-0a1b2c3d"
PUBLIC_PATHS = ["/v1/*", "/pages/*"]
"""Paths forwarded by the API's listener rule, as declared in infra."""


@dataclass(frozen=True, kw_only=True)
class Build:
    """Image, pushed with the tag `sha-{commit}`."""

    commit: str
    platforms: tuple[str, ...] = PLATFORMS

    @property
    def tag(self) -> str:
        return f"sha-{self.commit}"


@dataclass(frozen=True, kw_only=True)
class ServiceSeed:
    """Service that runs its first build. Its repository has the name of the service."""

    name: str
    configuration: Configuration
    desired: int = 2
    builds: tuple[Build, ...] = (Build(commit="1a2b3c4"), Build(commit="5d6e7f8"))

    @property
    def has_traffic(self) -> bool:
        return self.configuration.strategy is Strategy.BLUE_GREEN


@dataclass(frozen=True, kw_only=True)
class Seed:
    """One environment. The cluster has the same name, and tasks run the images tagged `live-{environment}`."""

    environment: str
    services: tuple[ServiceSeed, ...]


def standard(environment: str = "dev", *, bake_minutes: int = 10, pause_minutes: int = 60) -> Seed:
    """Return a seed with two services that have alarms and a bake time.

    `order-api` deploys blue/green and pauses before the production traffic shift. `order-processor` deploys rolling.
    """

    def alarms(service: str, *labels: str) -> tuple[str, ...]:
        return tuple(f"{environment}-{service}-{label}" for label in labels)

    return Seed(
        environment=environment,
        services=(
            ServiceSeed(
                name="order-api",
                configuration=Configuration(
                    strategy=Strategy.BLUE_GREEN,
                    bake_minutes=bake_minutes,
                    hooks=(PauseHook(frozenset({Stage.POST_TEST_TRAFFIC_SHIFT}), pause_minutes),),
                    alarms=alarms("order-api", "api-errors", "api-latency"),
                    alarms_enabled=True,
                    alarms_roll_back=True,
                ),
            ),
            ServiceSeed(
                name="order-processor",
                configuration=Configuration(
                    strategy=Strategy.ROLLING,
                    bake_minutes=bake_minutes,
                    alarms=alarms("order-processor", "dead-letters", "queue-age", "failures"),
                    alarms_enabled=True,
                    alarms_roll_back=True,
                    breaker_enabled=True,
                    breaker_rolls_back=True,
                ),
            ),
        ),
    )


def api_host(environment: str) -> str:
    """Return the public host name of the API."""
    return f"api.{environment}.example.com"


def create_resources(seed: Seed, engine: Engine, cloud: AwsCloud) -> None:
    """Create the resources of the seed. Those outside ECS are created through the public APIs, as by Terraform."""
    listeners = _listeners(cloud.elbv2, seed.environment)
    for service in seed.services:
        uri = _repository(cloud.ecr, service.name, service.builds, f"live-{seed.environment}")
        _alarms(cloud.cloudwatch, service.configuration.alarms)
        container = {"name": service.name, "image": f"{uri}:live-{seed.environment}", "essential": True}
        definition = TaskDefinition(
            family=f"{seed.environment}-{service.name}",
            revision=1,
            content={
                "containerDefinitions": [{**container, "portMappings": [{"containerPort": PORT}]}],
                "networkMode": "awsvpc",
                "requiresCompatibilities": ["FARGATE"],
                "runtimePlatform": {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"},
                "cpu": "512",
                "memory": "1024",
            },
        )
        engine.create_service(
            cluster=seed.environment,
            name=service.name,
            task_definition=definition,
            desired=service.desired,
            configuration=service.configuration,
            balancing=_balancing(cloud.elbv2, engine, seed, service, listeners) if service.has_traffic else None,
        )


def _repository(ecr: Any, name: str, builds: Sequence[Build], live: str) -> str:
    """Create a repository, push its builds, and tag the first one with `live`. Return the URI of the repository."""
    created = ecr.create_repository(
        repositoryName=name,
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": tag} for tag in MOVABLE_TAGS],
        imageScanningConfiguration={"scanOnPush": True},
    )
    digests = [
        push_image(ecr, name, build.tag, labels={REVISION_LABEL: build.commit}, platforms=build.platforms)
        for build in builds
    ]
    tag_image(ecr, name, live, digests[0])
    return str(created["repository"]["repositoryUri"])


def _alarms(cloudwatch: Any, names: Sequence[str]) -> None:
    for name in names:
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="Orders",
            MetricName=name,
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="initial state")


def _listeners(elbv2: Any, environment: str) -> tuple[str, str]:
    """Create a load balancer. Return the ARNs of its production listener and its test listener."""
    balancer = elbv2.create_load_balancer(Name=environment)["LoadBalancers"][0]["LoadBalancerArn"]
    nothing = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
    production, test = (
        elbv2.create_listener(LoadBalancerArn=balancer, Protocol="HTTPS", Port=port, DefaultActions=[nothing])
        for port in (HTTPS_PORT, TEST_PORT)
    )
    return production["Listeners"][0]["ListenerArn"], test["Listeners"][0]["ListenerArn"]


def _balancing(elbv2: Any, engine: Engine, seed: Seed, service: ServiceSeed, listeners: tuple[str, str]) -> Balancing:
    groups = tuple(
        str(
            elbv2.create_target_group(
                Name=f"{seed.environment}-{service.name}-{colour}"[:32],
                Protocol="HTTP",
                Port=PORT,
                VpcId=VPC,
                TargetType="ip",
                HealthCheckPath="/serving",
            )["TargetGroups"][0]["TargetGroupArn"]
        )
        for colour in ("blue", "green")
    )
    weights = [{"TargetGroupArn": group, "Weight": 100 if group == groups[0] else 0} for group in groups]
    production, test = (
        elbv2.create_rule(
            ListenerArn=listener,
            Priority=100,
            Conditions=[
                {"Field": "host-header", "HostHeaderConfig": {"Values": [api_host(seed.environment)]}},
                {"Field": "path-pattern", "PathPatternConfig": {"Values": PUBLIC_PATHS}},
            ],
            Actions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": weights}}],
        )["Rules"][0]["RuleArn"]
        for listener in listeners
    )
    return Balancing(
        container=service.name,
        port=PORT,
        target_groups=groups,
        production_rule=production,
        test_rule=test,
        role=f"arn:aws:iam::{engine.arns.account}:role/{seed.environment}-{service.name}-infrastructure",
    )
