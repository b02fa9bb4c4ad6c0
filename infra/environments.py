"""Environments as values: each setting that differs between environments is a field, documented with its costs.

Edit `ORGANISATION` once, then `DEV`, `UAT` and `PROD` as needed; no other module contains a domain, region or size.
Standard library only. Costs in the docstrings are US dollars per month in eu-central-1 without tax, unless another
unit is named. `costs.py` computes them for a whole environment; docs/deploy.md and docs/costs.md have the results.
"""

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from ipaddress import ip_network
from math import ceil
from urllib.parse import urlsplit

FEATURE_PREFIX = "feat-"

NAME_PATTERN = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
MAX_NAME_LENGTH = 40

LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
MAX_QUIET_MINUTES = 1440  # a CloudWatch period

STAGES = ("dev", "uat", "prod")
"""Values of `ORDER_ENV` that the services accept on AWS."""

OPEN_SHARDS = (16, 128)
"""Values of `ORDER_OPEN_SHARDS` that the services accept."""

DEPLOY_SESSION_MINUTES = 120
"""Session of the role that deploys: the command that follows a deployment ends with it."""

ROLLOUT_MINUTES = 60
"""Scan, start, tests and draining of all services, and the bake times of the workers."""

ZONES = 3
"""Number of availability zones of a VPC."""

TASK_SERVICES = ("ecr.api", "ecr.dkr", "logs", "secretsmanager", "sqs")
"""AWS services for which tasks need an interface endpoint if there is no NAT gateway."""

SHELL_SERVICES = ("ssmmessages",)
"""AWS services whose endpoint is needed for a shell in a task or on an instance."""
INSTANCE_SERVICES = ("ecs", "ecs-agent", "ecs-telemetry", "ssm")

PLACEHOLDER_DOMAIN = "example.com"

PROVIDER_HOST = "api.stripe.com"
"""Host of the payment provider's API on the internet."""


def is_https(address: str) -> bool:
    """Return whether the address is an https URL with a host."""
    parts = urlsplit(address)
    return parts.scheme == "https" and bool(parts.hostname)


class Egress(StrEnum):
    """Egress of the tasks in private subnets. S3 and DynamoDB always use free gateway endpoints."""

    NAT_SINGLE = "nat_single"
    """One NAT gateway: about 38, and 0.05 per GB. If its zone fails, no payments are possible."""
    NAT_PER_ZONE = "nat_per_zone"
    """One NAT gateway in each of three zones: about 114, and 0.05 per GB. Survives the loss of a zone."""
    ENDPOINTS = "endpoints"
    """Interface endpoints in each zone, without internet access: about 26 for each of five to ten endpoints. The token
    issuer's keys and the payment provider (`Payments.api_base`) must be reachable inside the VPC."""


class Capacity(StrEnum):
    """Compute capacity of the tasks. Costs are for a task of half a vCPU and 1 GB on ARM."""

    FARGATE = "fargate"
    """About 17 per task. No servers to operate."""
    FARGATE_SPOT = "fargate_spot"
    """About 6 per task. AWS may stop a task with two minutes' notice, enough for it to drain."""
    EC2 = "ec2"
    """EC2 instances in an auto scaling group with a capacity provider, for instance types and discounts that Fargate
    does not have. Twenty tasks cost about 460, against 330 on Fargate."""


class Insights(StrEnum):
    """Level of Container Insights for the cluster. No alarm or scaling policy of the platform needs its metrics."""

    DISABLED = "disabled"
    ENABLED = "enabled"
    """Metrics by cluster and service: about 10 to 20."""
    ENHANCED = "enhanced"
    """Metrics by task and container too: about 35 to 80, rising with the number of tasks."""


class Architecture(StrEnum):
    """CPU architecture of the tasks. Images are built for both architectures."""

    ARM64 = "ARM64"
    """A fifth cheaper than X86_64."""
    X86_64 = "X86_64"


class Strategy(StrEnum):
    """Deployment strategy of order-api. Workers always use rolling: they have no traffic to shift."""

    BLUE_GREEN = "BLUE_GREEN"
    """A deployment starts a second set of tasks, tests it, shifts the traffic to it, and bakes."""
    CANARY = "CANARY"
    """As BLUE_GREEN, but a part of the traffic shifts first, and the rest after `step_minutes`."""
    LINEAR = "LINEAR"
    """As BLUE_GREEN, but the traffic shifts in equal parts, `step_minutes` apart."""
    ROLLING = "ROLLING"


@dataclass(frozen=True, kw_only=True)
class Provisioned:
    """DynamoDB capacity paid by the hour, per table and index. Autoscaling keeps its use at `utilization` per cent.

    For a steady load it is cheaper than on demand: 100 write units per second cost about 58, and as many on-demand
    writes about 200. For a spike it is too slow: autoscaling takes minutes, and throttled writes delay orders.
    """

    minimum: int = 5
    """Minimum number of read units, and of write units, per second for each table and index."""
    maximum: int = 1000
    utilization: int = 60
    indexes_change: bool = False
    """True if the stack changes a table's billing or indexes; `plan` and `apply` set it. Terraform then writes the
    indexes, with the capacity `minimum`. Otherwise it ignores them, because autoscaling changes their capacity."""

    def __post_init__(self) -> None:
        if not 1 <= self.minimum <= self.maximum:
            raise ValueError(f"provisioned capacity is {self.minimum} to {self.maximum}: use 1 <= minimum <= maximum")
        if not 20 <= self.utilization <= 90:  # AWS's limits
            raise ValueError(f"utilization is {self.utilization}: DynamoDB's autoscaling accepts 20 to 90 per cent")


@dataclass(frozen=True, kw_only=True)
class OnDemand:
    """DynamoDB capacity paid by request: about 1 when idle, 0.76 per million write units.

    A new table accepts 4,000 write units per second, later twice its previous peak. `orderctl env warm` raises this
    limit before a sale.
    """


@dataclass(frozen=True, kw_only=True)
class Instances:
    """EC2 instances of the cluster with `Capacity.EC2`."""

    type: str = "m7g.large"
    """Instance type. About 70 each. With ENI trunking, an m7g.large runs ten tasks with their own network interface."""
    minimum: int = 2
    maximum: int = 10
    target_capacity: int = 90
    """Percentage of the instances' capacity that tasks should use. Below 100, there is spare room for new tasks."""
    minimum_step: int = 1
    maximum_step: int = 3
    """Maximum number of instances added at once, so that a fault does not start all of them."""

    def __post_init__(self) -> None:
        if not 0 <= self.minimum <= self.maximum:
            raise ValueError(f"instances are {self.minimum} to {self.maximum}: use 0 <= minimum <= maximum")
        if not 1 <= self.target_capacity <= 100:
            raise ValueError(f"target_capacity is {self.target_capacity}: use a percentage of 1 to 100")
        if not 1 <= self.minimum_step <= self.maximum_step:
            raise ValueError(f"instances are added in steps of {self.minimum_step} to {self.maximum_step}")


FARGATE_MEMORY = {256: (512, 2048), 512: (1024, 4096), 1024: (2048, 8192), 2048: (4096, 16384), 4096: (8192, 30720)}
"""Minimum and maximum memory of a task in MiB, by CPU units (1,024 are one vCPU). Source: Amazon ECS, task size."""


@dataclass(frozen=True, kw_only=True)
class ServiceSize:
    """Size and number of one service's tasks."""

    cpu: int = 512
    """CPU units; 1,024 are one vCPU."""
    memory: int = 1024
    """Memory in MiB."""
    minimum: int = 1
    maximum: int = 4

    def __post_init__(self) -> None:
        if self.cpu not in FARGATE_MEMORY:
            raise ValueError(f"cpu is {self.cpu}: use one of {', '.join(map(str, FARGATE_MEMORY))}")
        least, most = FARGATE_MEMORY[self.cpu]
        if not least <= self.memory <= most or (self.memory != least and self.memory % 1024):
            raise ValueError(
                f"memory is {self.memory}: {self.cpu} CPU units go with {least} to {most} MiB, in whole GiB"
            )
        if not 1 <= self.minimum <= self.maximum:
            raise ValueError(f"tasks are {self.minimum} to {self.maximum}: use 1 <= minimum <= maximum")


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """Deployment strategy of order-api, with its time limits."""

    strategy: Strategy = Strategy.BLUE_GREEN
    bake_minutes: int = 10
    """Minutes for which blue keeps running after the traffic shift, so that an alarm can roll back."""
    pause_minutes: int = 60
    """Minutes for which a deployment waits for approval before production traffic shifts; then it is rolled back."""
    step_percent: float = 10.0
    """Percentage of the traffic that shifts first (CANARY), or in each step (LINEAR)."""
    step_minutes: int = 10
    """Time between two shifts of traffic (CANARY, LINEAR), long enough for each alarm that rolls back."""

    def __post_init__(self) -> None:
        if not 0 <= self.bake_minutes <= 1440 or not 1 <= self.pause_minutes <= 20160:
            raise ValueError("bake_minutes must be 0 to 1440, and pause_minutes 1 to 20160")
        least = 3.0 if self.strategy is Strategy.LINEAR else 0.1
        if not least <= self.step_percent <= 100 or not 0 <= self.step_minutes <= 1440:
            raise ValueError(f"step_percent must be {least} to 100, and step_minutes 0 to 1440")
        if self.minutes > DEPLOY_SESSION_MINUTES - ROLLOUT_MINUTES:
            raise ValueError(
                f"the steps and the bake time take {self.minutes} minutes: with {ROLLOUT_MINUTES} for the rest of all "
                f"deployments they outlive the deploying role's session of {DEPLOY_SESSION_MINUTES}"
            )

    @property
    def shifts_traffic(self) -> bool:
        """True if traffic shifts between two fleets."""
        return self.strategy is not Strategy.ROLLING

    @property
    def minutes(self) -> int:
        """Minutes from the first shift of traffic to the end of the bake time."""
        steps = {Strategy.CANARY: 1, Strategy.LINEAR: ceil(100 / self.step_percent) - 1}
        return self.bake_minutes + steps.get(self.strategy, 0) * self.step_minutes


@dataclass(frozen=True, kw_only=True)
class Payments:
    api_base: str | None = None
    """Base URL of the payment provider's API, such as an https proxy inside the VPC. By default, the processor calls
    the provider's own API on the internet."""

    def __post_init__(self) -> None:
        if self.api_base is not None and not is_https(self.api_base):
            raise ValueError("payments.api_base must be an https URL, such as https://payments.internal")

    @property
    def is_inside(self) -> bool:
        """True if `api_base` names another host than the provider's own. That host must be inside the VPC."""
        return self.api_base is not None and urlsplit(self.api_base).hostname != PROVIDER_HOST


@dataclass(frozen=True, kw_only=True)
class Traces:
    """Tracing of all services, which send their traces by OTLP over HTTPS."""

    collector: str
    """URL of the collector. With egress `endpoints` it must be inside the VPC, on port 443."""
    share: float = 0.1
    """Fraction of the API's requests that are traced. Callers cannot change it; workers follow the API."""

    def __post_init__(self) -> None:
        if not self.collector.startswith("https://"):
            raise ValueError(f"traces.collector is {self.collector!r}: it must be an https URL")
        if not 0 < self.share <= 1:
            raise ValueError(f"traces.share is {self.share}: it must be above 0, and at most 1")


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Issuer of the customers' tokens: `ORDER_JWT_…`, see docs/authentication.md."""

    issuer: str
    """`iss` of the tokens. The API finds the issuer's keys by OpenID Connect discovery below this URL."""
    audience: str
    jwks_url: str = ""
    """Address of the issuer's keys, for an issuer without discovery."""
    audience_claim: str = "aud"
    tenant_claim: str = "tenant"
    customer_claim: str = "sub"
    scope_claims: str = "scope"
    """Claims with scopes, comma separated."""
    scope_prefix: str = ""

    def __post_init__(self) -> None:
        if self.jwks_url and not is_https(self.jwks_url):
            raise ValueError(
                f"tokens.jwks_url is {self.jwks_url!r}: it must be an https URL, such as "
                "https://login.example.com/.well-known/jwks.json"
            )
        if not self.jwks_url and not is_https(self.issuer):
            raise ValueError(
                f"tokens.issuer is {self.issuer!r}: it must be an https URL, such as https://login.example.com/, or "
                "set tokens.jwks_url"
            )


@dataclass(frozen=True, kw_only=True)
class Organisation:
    """Settings of your organisation, which are the same in every environment."""

    domain: str
    """Domain of a public Route 53 zone in the account. The API's host is `orders.<domain>` in prod,
    `orders.dev.<domain>` in dev, and `feat-….dev.<domain>` in a feature environment on dev."""
    repository: str
    """`owner/name` on GitHub of the repository whose workflows may assume the CI roles."""
    owner_email: str
    """E-mail address that receives all alarms. Its owner must confirm the SNS subscription."""
    region: str = "eu-central-1"
    """Region of the account-wide resources: CI's identity provider, the permissions boundary."""
    hcp_organisation: str | None = None
    """HCP Terraform organisation whose workspaces store Terraform's state; None to use S3 buckets."""

    @property
    def is_placeholder(self) -> bool:
        return self.domain == PLACEHOLDER_DOMAIN or self.domain.endswith("." + PLACEHOLDER_DOMAIN)


@dataclass(frozen=True, kw_only=True)
class Environment:
    name: str
    """`dev`, `uat`, `prod`, one of these with a suffix (`prod-us`), or `feat-…`. It is part of resource names and of
    state keys."""
    tokens: Tokens
    regions: tuple[str, ...] = ("eu-central-1",)
    """The first region owns the tables and must never change. The others have replicas, and each costs about as much as
    the first. See docs/multi-region.md."""
    leaving_regions: tuple[str, ...] = ()
    """Former regions whose stacks still exist. Remove a region after `destroy --region` has destroyed its stacks."""
    active_region: str | None = None
    """Region whose services write; None for the first one. Change it to fail over to another region."""
    zones: tuple[str, str, str] = ("a", "b", "c")
    """Letters of the availability zones. Some regions lack one of the default letters: Tokyo has a, c and d."""
    cidr: str = "10.0.0.0/16"
    """Address range of the VPC. Regions and environments that may be peered later need different ranges."""
    egress: Egress = Egress.NAT_SINGLE
    capacity: Capacity = Capacity.FARGATE
    instances: Instances = field(default_factory=Instances)
    keep_instances: bool = False
    """Keep the EC2 instances and their capacity provider while services change from `Capacity.EC2` to another
    `capacity`. Set it to False when no service uses them any more; before that, `apply` refuses to remove them."""
    architecture: Architecture = Architecture.ARM64
    insights: Insights = Insights.DISABLED
    billing: OnDemand | Provisioned = field(default_factory=OnDemand)
    api: ServiceSize = field(default_factory=ServiceSize)
    processor: ServiceSize = field(default_factory=ServiceSize)
    notifier: ServiceSize = field(default_factory=ServiceSize)
    open_shards: int = 16
    """Number of keys of the index `open_orders` that the services write: 128 for more than 1,000 orders per second
    (docs/scale.md). docs/evolution.md describes how to raise it, and how to lower it before a rollback."""
    stores_history: bool = True
    """Store new orders with their history. Set it to False for the first deployment over a release that cannot read it
    (docs/evolution.md)."""
    api_reference: bool = True
    """Show the reference of the API at `/pages/api`, to anyone who reaches the API."""
    former_message_types: bool = False
    """Send messages with the types that the last release reads. Set it to True for the first deployment over it
    (docs/evolution.md)."""
    deployment: Deployment = field(default_factory=Deployment)
    payments: Payments = field(default_factory=Payments)
    webhooks: bool = True
    """Deliver events to webhook endpoints. They are on the internet, so `Egress.ENDPOINTS` needs False."""
    traces: Traces | None = None
    """None for no traces and no costs."""
    certificate_domain: str | None = None
    """Use the newest issued ACM certificate of this domain, which must cover the API's names. By default, a certificate
    is created and validated in the zone: free, and renewed automatically."""
    waf: bool = False
    """Put a web ACL in front of the load balancer, with AWS's rules and `waf_rate`. About 9, and 0.60 per million
    requests."""
    waf_rate: int = 10_000
    """Maximum number of requests from one address in five minutes."""
    test_cidrs: tuple[str, ...] = ("0.0.0.0/0",)
    """Networks that may connect to green's test listener on port 8443, which serves the same API with the same tokens.
    CI's runners have no fixed addresses; restrict this setting if deployments come from a known network."""
    log_days: int = 30
    """Retention of logs; 0.63 per GB once, 0.032 per GB and month."""
    quiet_minutes: int | None = None
    """Minutes without an accepted order until an alarm; None for no alarm. Set it only if there are always orders."""
    exec: bool = True
    """Let operators open a shell in a task (ECS Exec). Never in production."""
    protected: bool = False
    """Protect tables, load balancer and keys against deletion, whatever Terraform plans."""
    host: str | None = None
    """Name of the environment whose VPC, cluster and load balancer a feature environment uses; None for all others."""

    def __post_init__(self) -> None:
        if not NAME_PATTERN.fullmatch(self.name) or len(self.name) > MAX_NAME_LENGTH:
            raise ValueError(
                f"{self.name!r} is no valid name: use lower case letters, digits and single dashes, a letter first, "
                f"at most {MAX_NAME_LENGTH}"
            )
        if f"{self.name.partition('-')[0]}-" != FEATURE_PREFIX and self.stage not in STAGES:
            raise ValueError(f"{self.name!r} is no valid name: begin it with one of {', '.join(STAGES)}")
        if not self.regions or len(set(self.regions)) < len(self.regions):
            raise ValueError(f"{self.name}: regions are {self.regions}: name one or more, each once")
        if set(self.leaving_regions) & set(self.regions):
            raise ValueError(
                f"{self.name}: leaving_regions are {self.leaving_regions}: name none of its regions {self.regions}"
            )
        if self.active_region is not None and self.active_region not in self.regions:
            raise ValueError(f"{self.name}: active_region is {self.active_region}: use one of {self.regions}")
        if self.log_days not in LOG_DAYS:
            raise ValueError(f"{self.name}: log_days is {self.log_days}: CloudWatch accepts one of {LOG_DAYS}")
        if self.quiet_minutes is not None and not 1 <= self.quiet_minutes <= MAX_QUIET_MINUTES:
            raise ValueError(f"{self.name}: quiet_minutes is {self.quiet_minutes}: use 1 to {MAX_QUIET_MINUTES}")
        if self.egress is Egress.ENDPOINTS and not self.payments.is_inside:
            raise ValueError(
                f"{self.name}: egress 'endpoints' has no way to the internet, so the payment provider needs an "
                "address inside the VPC: set payments.api_base, such as https://payments.internal"
            )
        if self.egress is Egress.ENDPOINTS and self.webhooks:
            raise ValueError(
                f"{self.name}: egress 'endpoints' has no way to the internet, where webhook endpoints are: set "
                "webhooks to False"
            )
        self._check_test_cidrs()
        self._check_tables()

    def _check_tables(self) -> None:
        """Raise ValueError if the services do not accept `open_shards`, or AWS does not accept `billing`."""
        if self.open_shards not in OPEN_SHARDS:
            raise ValueError(f"{self.name}: open_shards is {self.open_shards}: the services take one of {OPEN_SHARDS}")
        if len(self.regions) > 1 and isinstance(self.billing, Provisioned):
            raise ValueError(f"{self.name}: billing is provisioned: replicated tables must be billed on demand")

    def _check_test_cidrs(self) -> None:
        """Raise ValueError if one of `test_cidrs` is not a valid network or appears twice."""
        for number, cidr in enumerate(self.test_cidrs):
            try:
                ip_network(cidr)
            except ValueError as error:
                raise ValueError(f"{self.name}: test_cidrs has {cidr!r}: {error}") from error
            if cidr in self.test_cidrs[:number]:
                raise ValueError(f"{self.name}: test_cidrs has {cidr} twice: name each network once")

    @property
    def home(self) -> str:
        """Region whose services write."""
        return self.active_region or self.regions[0]

    @property
    def has_instances(self) -> bool:
        """True if the cluster has EC2 instances, whether or not new tasks start on them."""
        return self.capacity is Capacity.EC2 or self.keep_instances

    @property
    def endpoint_services(self) -> tuple[str, ...]:
        """AWS services that have an interface endpoint. An endpoint is paid by the hour in each zone."""
        if self.egress is not Egress.ENDPOINTS:
            return ()
        shells = SHELL_SERVICES if self.exec or self.has_instances else ()
        instances = INSTANCE_SERVICES if self.has_instances else ()
        return (*TASK_SERVICES, *shells, *instances)

    @property
    def is_feature(self) -> bool:
        return self.host is not None

    @property
    def stage(self) -> str:
        """Value of `ORDER_ENV` for the services: `prod` for `prod-us`; `dev` for a feature environment."""
        return "dev" if self.is_feature else self.name.partition("-")[0]

    @property
    def cluster(self) -> str:
        """Name of the ECS cluster, which a feature environment shares with its host."""
        return self.host or self.name

    def service_name(self, service: str) -> str:
        """Return a service's name within the cluster."""
        return f"{self.name}-{service}" if self.is_feature else service

    @property
    def table_prefix(self) -> str:
        return f"{self.name}-"

    @property
    def api_host(self) -> str:
        """Host name of the API."""
        if self.is_feature:
            return f"{self.name}.{self.host}.{ORGANISATION.domain}"
        return f"orders.{ORGANISATION.domain}" if self.name == "prod" else f"orders.{self.name}.{ORGANISATION.domain}"

    @property
    def certificate_name(self) -> str:
        """Domain name of the created certificate: the API's host in prod, otherwise a wildcard that also covers feature
        environments."""
        return self.api_host if self.name == "prod" else f"*.{self.name}.{ORGANISATION.domain}"


ORGANISATION = Organisation(
    domain="example.com",
    repository="example/order-platform",
    owner_email="orders@example.com",
)

DEV = Environment(
    name="dev",
    cidr="10.10.0.0/16",
    capacity=Capacity.FARGATE_SPOT,
    tokens=Tokens(
        issuer="https://login-dev.example.com/",
        audience="orders-dev",
    ),
    deployment=Deployment(bake_minutes=7),
    log_days=14,
)

UAT = Environment(
    name="uat",
    cidr="10.20.0.0/16",
    tokens=Tokens(
        issuer="https://login-uat.example.com/",
        audience="orders-uat",
    ),
    insights=Insights.ENABLED,
    api=ServiceSize(minimum=2),
    processor=ServiceSize(minimum=2),
    notifier=ServiceSize(minimum=2),
    waf=True,
)

PROD = Environment(
    name="prod",
    cidr="10.30.0.0/16",
    tokens=Tokens(
        issuer="https://login.example.com/",
        audience="orders",
    ),
    egress=Egress.NAT_PER_ZONE,
    insights=Insights.ENABLED,
    api=ServiceSize(minimum=3, maximum=20),
    processor=ServiceSize(minimum=2, maximum=20),
    notifier=ServiceSize(minimum=2, maximum=10),
    deployment=Deployment(strategy=Strategy.CANARY, bake_minutes=30),
    waf=True,
    log_days=365,
    quiet_minutes=30,
    exec=False,
    protected=True,
    api_reference=False,
)

ENVIRONMENTS = {environment.name: environment for environment in (DEV, UAT, PROD)}


class UnknownEnvironment(ValueError):
    """No environment has this name, and it is not a valid name for a feature environment."""


def environment_of(name: str) -> Environment:
    """Return the environment with this name. For a name `feat-…`, return a feature environment on `dev`.

    Raises:
        UnknownEnvironment: if there is no such environment, or the name is not valid.
    """
    if name in ENVIRONMENTS:
        return ENVIRONMENTS[name]
    if not name.startswith(FEATURE_PREFIX) or not NAME_PATTERN.fullmatch(name) or len(name) > MAX_NAME_LENGTH:
        raise UnknownEnvironment(
            f"{name!r} is no environment: use {', '.join(ENVIRONMENTS)}, or {FEATURE_PREFIX}… in lower case letters, "
            f"digits and single dashes, at most {MAX_NAME_LENGTH}"
        )
    return feature_of(name, DEV)


def feature_of(name: str, host: Environment) -> Environment:
    """Return the feature environment with this name on a host environment.

    It runs one task of each service, on Spot or on the host's instances, with rolling deployments. It shares the host's
    VPC, cluster and load balancer, and has its own tables, queues and logs.
    """
    return replace(
        host,
        name=name,
        host=host.name,
        regions=(host.home,),
        leaving_regions=(),
        active_region=None,
        capacity=host.capacity if host.capacity is Capacity.EC2 else Capacity.FARGATE_SPOT,
        keep_instances=False,
        billing=OnDemand(),
        api=ServiceSize(minimum=1, maximum=1),
        processor=ServiceSize(minimum=1, maximum=1),
        notifier=ServiceSize(minimum=1, maximum=1),
        deployment=Deployment(strategy=Strategy.ROLLING),
        log_days=3,
        protected=False,
    )
