"""Initial state of the fake, as after Terraform: repositories, images, rules, alarms, services.

`environments.json` has what infra gives each environment's services. It is generated from the synthesized stacks.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from importlib.resources import files
from typing import Any

from fake_ecs.cloud import AwsCloud
from fake_ecs.configuration import read
from fake_ecs.engine import Engine, TaskDefinition
from fake_ecs.faults import NOT_STARTED
from fake_ecs.images import PLATFORMS, REVISION_LABEL, push_image, tag_image
from fake_ecs.model import Balancing, Configuration, Strategy

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
    capacity_provider: str = "FARGATE"
    desired: int = 2
    builds: tuple[Build, ...] = (Build(commit="1a2b3c4"), Build(commit="5d6e7f8"))
    starts: bool = True
    """False for a service that was just created, and whose first build never starts."""

    @property
    def has_traffic(self) -> bool:
        return self.configuration.shifts_traffic


@dataclass(frozen=True, kw_only=True)
class Seed:
    """One environment. The cluster has the same name, and tasks run the images tagged `live-{environment}`."""

    environment: str
    services: tuple[ServiceSeed, ...]
    alarms: tuple[str, ...] = ()
    """Names of all alarms of the environment."""
    lifecycle_policy: Mapping[str, Any] = field(default_factory=dict)
    age: timedelta = timedelta(days=1)
    """Age of the services. With 0 their first deployments have just started."""


DOCUMENTED: Mapping[str, Any] = json.loads((files("fake_ecs") / "environments.json").read_text())
"""What infra gives each environment: alarms, the lifecycle policy of images, and services."""


def standard(
    environment: str = "dev",
    *,
    bake_minutes: int | None = None,
    pause_minutes: int | None = None,
    strategy: Strategy | None = None,
    never_start: Collection[str] = (),
) -> Seed:
    """Return a seed with the services as infra creates them. The parameters replace what infra sets.

    The services in `never_start` were just created, and their first image never starts. Another environment than those
    of infra gets the values of dev.
    """
    known = DOCUMENTED.get(environment, DOCUMENTED["dev"])
    services = []
    for name, given in known["services"].items():
        configuration = read(given["deploymentConfiguration"], Configuration(strategy=Strategy.ROLLING))
        if bake_minutes is not None:
            configuration = replace(configuration, bake_minutes=bake_minutes)
        if pause_minutes is not None:
            hooks = tuple(replace(hook, timeout_minutes=pause_minutes) for hook in configuration.hooks)
            configuration = replace(configuration, hooks=hooks)
        if strategy is not None and configuration.shifts_traffic:
            configuration = replace(configuration, strategy=strategy)
        services.append(
            ServiceSeed(
                name=name,
                configuration=configuration,
                capacity_provider=given["capacityProvider"],
                starts=name not in never_start,
            )
        )
    return Seed(
        environment=environment,
        services=tuple(services),
        alarms=tuple(known["alarms"]),
        lifecycle_policy=known["lifecyclePolicy"],
    )


def api_host(environment: str) -> str:
    """Return the public host name of the API."""
    return f"api.{environment}.example.com"


def create_resources(seed: Seed, engine: Engine, cloud: AwsCloud) -> None:
    """Create the resources of the seed. Those outside ECS are created through the public APIs, as by Terraform."""
    listeners = _listeners(cloud.elbv2, seed.environment)
    watched = [name for service in seed.services for name in service.configuration.alarms]
    _alarms(cloud.cloudwatch, dict.fromkeys((*seed.alarms, *watched)))
    for service in seed.services:
        uri, first = _repository(cloud.ecr, service, seed)
        if not service.starts:
            engine.faults.broken[first] = NOT_STARTED
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
            capacity_provider=service.capacity_provider,
            age=seed.age if service.starts else timedelta(),
        )


def _repository(ecr: Any, service: ServiceSeed, seed: Seed) -> tuple[str, str]:
    """Create a service's repository with its builds, the first one live. Return its address and the first digest."""
    name = service.name
    created = ecr.create_repository(
        repositoryName=name,
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": tag} for tag in MOVABLE_TAGS],
        imageScanningConfiguration={"scanOnPush": True},
    )
    digests = [
        push_image(ecr, name, build.tag, labels={REVISION_LABEL: build.commit}, platforms=build.platforms)
        for build in service.builds
    ]
    tag_image(ecr, name, f"live-{seed.environment}", digests[0])
    if seed.lifecycle_policy:
        ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=json.dumps(seed.lifecycle_policy))
    return str(created["repository"]["repositoryUri"]), digests[0]


def _alarms(cloudwatch: Any, names: Iterable[str]) -> None:
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
