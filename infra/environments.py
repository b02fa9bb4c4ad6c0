"""The environments, each a value: every choice that differs between them is a field here, with what it costs.

Edit `ORGANISATION` once, then `DEV`, `UAT` and `PROD` as you like; nothing else names a domain, a region or a size.
Standard library only. What a choice costs a month stands beside it; `costs.py` adds it up for a whole environment, and
`docs/deploy.md` shows the sums. Money is US dollars a month in eu-central-1 without tax.
"""

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from ipaddress import ip_network
from urllib.parse import urlsplit

FEATURE_PREFIX = "feat-"

NAME_PATTERN = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
MAX_NAME_LENGTH = 40

LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
MAX_QUIET_MINUTES = 1440  # a CloudWatch period

STAGES = ("dev", "uat", "prod")
"""The values that the services accept as `ORDER_ENV` here."""

OPEN_SHARDS = (16, 128)
"""The values that the services accept as `ORDER_OPEN_SHARDS`."""

ZONES = 3
"""Availability zones of a VPC."""

TASK_SERVICES = ("ecr.api", "ecr.dkr", "logs", "secretsmanager", "sqs")
"""What tasks need besides, where there is no NAT."""

SHELL_SERVICES = ("ssmmessages",)
"""For a shell in a task, or on an instance."""
INSTANCE_SERVICES = ("ecs", "ecs-agent", "ecs-telemetry", "ssm")

PLACEHOLDER_DOMAIN = "example.com"

PROVIDER_HOST = "api.stripe.com"
"""The host of the payment provider's API on the internet."""


def is_https(address: str) -> bool:
    """True if the address is an https URL with a host."""
    parts = urlsplit(address)
    return parts.scheme == "https" and bool(parts.hostname)


class Egress(StrEnum):
    """How tasks in private subnets reach what is outside. S3 and DynamoDB always go through free gateway endpoints."""

    NAT_SINGLE = "nat_single"
    """One NAT gateway: about 38, and 0.05 per GB. If its zone fails, nothing outside answers: no payments."""
    NAT_PER_ZONE = "nat_per_zone"
    """One in each of three zones: about 114, and 0.05 per GB. Survives a zone."""
    ENDPOINTS = "endpoints"
    """Interface endpoints in each zone and no way to the internet at all: about 26 for each of five to ten.
    The token issuer's keys and the payment provider must then be reachable inside the VPC (`Payments.api_base`)."""


class Capacity(StrEnum):
    """What tasks run on. Prices are of half a vCPU and 1 GB on ARM."""

    FARGATE = "fargate"
    """About 17 a task. Nothing to look after."""
    FARGATE_SPOT = "fargate_spot"
    """About 6 a task, which AWS may take away with two minutes' notice: enough for a task to drain."""
    EC2 = "ec2"
    """Instances of ours in an auto scaling group behind a capacity provider. Dearer than Fargate on ARM for tasks of
    half a vCPU (460 against 330 for twenty): for instance types and discounts that Fargate does not have."""


class Insights(StrEnum):
    """Container Insights of the cluster. No alarm and no scaling policy here needs it."""

    DISABLED = "disabled"
    ENABLED = "enabled"
    """Metrics by cluster and service: some 10 to 20."""
    ENHANCED = "enhanced"
    """Metrics by task and container too: some 25 to 60, more with every task."""


class Architecture(StrEnum):
    """Of the tasks; images are built for both."""

    ARM64 = "ARM64"
    """A fifth cheaper than X86_64."""
    X86_64 = "X86_64"


class Strategy(StrEnum):
    """How a new image of order-api takes over. The processor always rolls: it has no traffic to shift."""

    BLUE_GREEN = "BLUE_GREEN"
    """A second fleet beside the first for the time of a deployment: tested, then given the traffic, then baked."""
    ROLLING = "ROLLING"


@dataclass(frozen=True, kw_only=True)
class Provisioned:
    """DynamoDB capacity bought by the hour, per table and index, followed by autoscaling at `utilization` per cent.

    Cheaper than on demand when the load is steady: 100 write units a second on all the time cost about 58, and as many
    on-demand writes about 200. Too slow for a spike: autoscaling needs minutes, and throttled writes delay orders.
    """

    minimum: int = 5
    """Read and write units a second of each table and index, at least."""
    maximum: int = 1000
    utilization: int = 60
    indexes_change: bool = False
    """True in a plan that changes how a table is billed or which indexes it has: Terraform then writes the indexes, and
    sets their capacity to `minimum`. Otherwise it leaves them to autoscaling. The operators' commands find out."""

    def __post_init__(self) -> None:
        if not 1 <= self.minimum <= self.maximum:
            raise ValueError(f"provisioned capacity goes from {self.minimum} to {self.maximum}")
        if not 20 <= self.utilization <= 90:  # AWS's limits
            raise ValueError(f"utilization is {self.utilization}: DynamoDB's autoscaling takes 20 to 90 per cent")


@dataclass(frozen=True, kw_only=True)
class OnDemand:
    """DynamoDB capacity by the request: about 1 at rest, 0.76 per million write units. Takes twice the former peak, and
    4,000 write units a second when it is new; `orderctl env warm` raises it before a sale."""


@dataclass(frozen=True, kw_only=True)
class Instances:
    """The instances of `Capacity.EC2`."""

    type: str = "m7g.large"
    """About 70 each. The account lets a task have an interface of its own on it for each of 10 tasks (ENI trunking)."""
    minimum: int = 2
    maximum: int = 10
    target_capacity: int = 90
    """Per cent of the instances that tasks should fill. Below 100 there is room for a task until an instance starts."""
    minimum_step: int = 1
    maximum_step: int = 3
    """Instances added at once, at most: a fault must not buy the whole maximum."""

    def __post_init__(self) -> None:
        if not 0 <= self.minimum <= self.maximum:
            raise ValueError(f"instances go from {self.minimum} to {self.maximum}")
        if not 1 <= self.target_capacity <= 100:
            raise ValueError(f"target_capacity is {self.target_capacity}: it is a percentage of 1 to 100")
        if not 1 <= self.minimum_step <= self.maximum_step:
            raise ValueError(f"instances are added in steps of {self.minimum_step} to {self.maximum_step}")


FARGATE_MEMORY = {256: (512, 2048), 512: (1024, 4096), 1024: (2048, 8192), 2048: (4096, 16384), 4096: (8192, 30720)}
"""Least and most MiB for each number of CPU units (1,024 are one vCPU). Source: Amazon ECS, task size."""


@dataclass(frozen=True, kw_only=True)
class ServiceSize:
    """One service's tasks."""

    cpu: int = 512
    """CPU units; 1,024 are one vCPU."""
    memory: int = 1024
    """MiB."""
    minimum: int = 1
    maximum: int = 4

    def __post_init__(self) -> None:
        if self.cpu not in FARGATE_MEMORY:
            raise ValueError(f"cpu is {self.cpu}: a task has one of {', '.join(map(str, FARGATE_MEMORY))}")
        least, most = FARGATE_MEMORY[self.cpu]
        if not least <= self.memory <= most or (self.memory != least and self.memory % 1024):
            raise ValueError(
                f"memory is {self.memory}: {self.cpu} CPU units go with {least} to {most} MiB, in whole GiB"
            )
        if not 1 <= self.minimum <= self.maximum:
            raise ValueError(f"tasks go from {self.minimum} to {self.maximum}")


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """How a new image takes over, and how long operators have."""

    strategy: Strategy = Strategy.BLUE_GREEN
    bake_minutes: int = 10
    """Both fleets run on, all traffic on the new one; an alarm sends it back. Costs the second fleet for as long."""
    pause_minutes: int = 60
    """How long the new fleet waits, tested but without traffic, for someone to go on; then it is rolled back."""

    def __post_init__(self) -> None:
        if not 0 <= self.bake_minutes <= 1440 or not 1 <= self.pause_minutes <= 20160:
            raise ValueError("a deployment bakes for 0 to 1440 minutes and pauses for 1 to 20160")


@dataclass(frozen=True, kw_only=True)
class Payments:
    api_base: str | None = None
    """Where the payment provider's API is, if not on the internet: a proxy inside the VPC, by https. The processor gets
    no other address than this one, and the provider's own without it."""

    def __post_init__(self) -> None:
        if self.api_base is not None and not is_https(self.api_base):
            raise ValueError("payments.api_base is reached by https only: write it as https://payments.internal")

    @property
    def is_inside(self) -> bool:
        """True if the provider is reached inside the VPC, without internet access."""
        return self.api_base is not None and urlsplit(self.api_base).hostname != PROVIDER_HOST


@dataclass(frozen=True, kw_only=True)
class Traces:
    """Where both services send their traces, by OTLP over HTTPS."""

    collector: str
    """With egress `endpoints` it is inside the VPC: the way out is port 443."""
    share: float = 0.1
    """Of the requests. Their callers do not decide; the processor follows the API."""

    def __post_init__(self) -> None:
        if not self.collector.startswith("https://"):
            raise ValueError(f"the collector of traces is {self.collector!r}: it is reached by https only")
        if not 0 < self.share <= 1:
            raise ValueError(f"the share of requests that are traced is {self.share}: above 0, and at most 1")


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Who issues the customers' tokens: `ORDER_JWT_…`, see docs/authentication.md."""

    issuer: str
    jwks_url: str
    audience: str
    audience_claim: str = "aud"
    tenant_claim: str = "tenant"
    scope_prefix: str = ""

    def __post_init__(self) -> None:
        if not is_https(self.jwks_url):
            raise ValueError(
                f"tokens.jwks_url is {self.jwks_url!r}: keys are fetched by https only, such as "
                "https://login.example.com/.well-known/jwks.json"
            )


@dataclass(frozen=True, kw_only=True)
class Organisation:
    """What is yours, and the same for every environment."""

    domain: str
    """A public Route 53 zone in the account. Prod's API is `orders.<domain>`, dev's `orders.dev.<domain>`, that of a
    feature environment on dev `feat-….dev.<domain>`."""
    repository: str
    """`owner/name` on GitHub: whose workflows may take the CI roles."""
    owner_email: str
    """Gets every alarm; confirm the subscription that SNS sends."""
    region: str = "eu-central-1"
    """Where the account keeps what it has once in all regions: the identity provider of CI, the boundary of roles."""
    hcp_organisation: str | None = None
    """Keeps Terraform's state in workspaces of this HCP Terraform organisation, instead of in an S3 bucket."""

    @property
    def is_placeholder(self) -> bool:
        return self.domain == PLACEHOLDER_DOMAIN or self.domain.endswith("." + PLACEHOLDER_DOMAIN)


@dataclass(frozen=True, kw_only=True)
class Environment:
    name: str
    """`dev`, `uat`, `prod`, one of these with more behind it (`prod-us`), or `feat-…`: in every name and state key."""
    tokens: Tokens
    regions: tuple[str, ...] = ("eu-central-1",)
    """The first owns the tables and never changes; the others hold replicas and stand by, and each costs about as much
    again. See docs/multi-region.md."""
    leaving_regions: tuple[str, ...] = ()
    """Former regions whose stacks still stand, until `destroy --region` has taken each of them away."""
    active_region: str | None = None
    """Whose services write, if not those of the first region: change it to fail over."""
    zones: tuple[str, str, str] = ("a", "b", "c")
    """The letters of the availability zones. Some regions lack one of these: Tokyo has a, c and d."""
    cidr: str = "10.0.0.0/16"
    """Of the VPC. Regions and environments that may be peered one day should differ."""
    egress: Egress = Egress.NAT_SINGLE
    capacity: Capacity = Capacity.FARGATE
    instances: Instances = field(default_factory=Instances)
    keep_instances: bool = False
    """Keeps the instances and their capacity provider beside another `capacity`: for the time in which services leave
    `Capacity.EC2`. Unset it once none of the cluster's services asks for them; `deploy` refuses before that."""
    architecture: Architecture = Architecture.ARM64
    insights: Insights = Insights.DISABLED
    billing: OnDemand | Provisioned = field(default_factory=OnDemand)
    api: ServiceSize = field(default_factory=ServiceSize)
    processor: ServiceSize = field(default_factory=ServiceSize)
    open_shards: int = 16
    """Keys of the index `open_orders` that the services write: 128 for more than 1,000 orders a second (docs/scale.md).
    docs/evolution.md says how to go there, and back before a rollback."""
    deployment: Deployment = field(default_factory=Deployment)
    payments: Payments = field(default_factory=Payments)
    traces: Traces | None = None
    """None: there are none, and they cost nothing."""
    certificate_domain: str | None = None
    """Takes the newest issued ACM certificate of this domain, which must cover the API's names. Without one, a
    certificate is made and proved in the zone: free, renewed by itself."""
    waf: bool = False
    """A web ACL before the load balancer: AWS's rules, and `waf_rate`. About 9, and 0.60 per million requests."""
    waf_rate: int = 10_000
    """Requests that one address may send in five minutes."""
    test_cidrs: tuple[str, ...] = ("0.0.0.0/0",)
    """Who may reach the green fleet's listener, port 8443, before it has traffic: the same API behind the same tokens.
    CI's runners have no fixed addresses; narrow it where deployments come from a known network."""
    log_days: int = 30
    """How long logs are kept; 0.63 per GB once, 0.032 per GB and month."""
    quiet_minutes: int | None = None
    """Alarms if no order was accepted for so long. Only where orders never stop."""
    exec: bool = True
    """Lets operators open a shell in a task (ECS Exec). Never in production."""
    protected: bool = False
    """Tables, load balancer and state refuse to be deleted, whatever Terraform plans."""
    host: str | None = None
    """Names the environment whose VPC, cluster and load balancer this one uses: a feature environment's only."""

    def __post_init__(self) -> None:
        if not NAME_PATTERN.fullmatch(self.name) or len(self.name) > MAX_NAME_LENGTH:
            raise ValueError(
                f"{self.name!r} names no environment: lower case letters, digits and single dashes, from a letter on, "
                f"at most {MAX_NAME_LENGTH}"
            )
        if f"{self.name.partition('-')[0]}-" != FEATURE_PREFIX and self.stage not in STAGES:
            raise ValueError(f"{self.name!r} names no environment: it begins with one of {', '.join(STAGES)}")
        if not self.regions or len(set(self.regions)) < len(self.regions):
            raise ValueError(f"{self.name}: regions are one or more, each once; they are {self.regions}")
        if set(self.leaving_regions) & set(self.regions):
            raise ValueError(f"{self.name}: leaving_regions are {self.leaving_regions}: one of {self.regions} stays")
        if self.active_region is not None and self.active_region not in self.regions:
            raise ValueError(f"{self.name}: active_region is {self.active_region}, which is none of {self.regions}")
        if self.log_days not in LOG_DAYS:
            raise ValueError(
                f"{self.name}: log_days is {self.log_days}: CloudWatch keeps logs for one of {LOG_DAYS} days"
            )
        if self.quiet_minutes is not None and not 1 <= self.quiet_minutes <= MAX_QUIET_MINUTES:
            raise ValueError(f"{self.name}: quiet_minutes is {self.quiet_minutes}: 1 to {MAX_QUIET_MINUTES}")
        if self.egress is Egress.ENDPOINTS and not self.payments.is_inside:
            raise ValueError(
                f"{self.name}: egress 'endpoints' has no way to the internet, so the payment provider needs an "
                "address inside the VPC: set payments.api_base, such as https://payments.internal"
            )
        self._check_test_cidrs()
        self._check_tables()

    def _check_tables(self) -> None:
        """Raise ValueError for a layout or a billing of the tables that the services or AWS do not take."""
        if self.open_shards not in OPEN_SHARDS:
            raise ValueError(f"{self.name}: open_shards is {self.open_shards}: the services take one of {OPEN_SHARDS}")
        if len(self.regions) > 1 and isinstance(self.billing, Provisioned):
            raise ValueError(f"{self.name}: replicated tables are billed on demand here; billing is provisioned")

    def _check_test_cidrs(self) -> None:
        """Raise ValueError for a network that EC2 refuses, or that would get two rules."""
        for number, cidr in enumerate(self.test_cidrs):
            try:
                ip_network(cidr)
            except ValueError as error:
                raise ValueError(f"{self.name}: test_cidrs has {cidr!r}: {error}") from error
            if cidr in self.test_cidrs[:number]:
                raise ValueError(f"{self.name}: test_cidrs has {cidr} twice: name each network once")

    @property
    def home(self) -> str:
        """The region whose services write; all tenants are at home there."""
        return self.active_region or self.regions[0]

    @property
    def has_instances(self) -> bool:
        """True if the cluster has instances of ours, whether or not new tasks start on them."""
        return self.capacity is Capacity.EC2 or self.keep_instances

    @property
    def endpoint_services(self) -> tuple[str, ...]:
        """The services with an interface endpoint; each costs by the hour in each zone."""
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
        """What the services take as `ORDER_ENV`: `prod` of `prod-us`; a feature environment behaves as dev."""
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
        """The name customers call the API by."""
        if self.is_feature:
            return f"{self.name}.{self.host}.{ORGANISATION.domain}"
        return f"orders.{ORGANISATION.domain}" if self.name == "prod" else f"orders.{self.name}.{ORGANISATION.domain}"

    @property
    def certificate_name(self) -> str:
        """What the certificate that is made here covers: a feature environment's name too."""
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
        jwks_url="https://login-dev.example.com/.well-known/jwks.json",
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
        jwks_url="https://login-uat.example.com/.well-known/jwks.json",
        audience="orders-uat",
    ),
    insights=Insights.ENABLED,
    api=ServiceSize(minimum=2),
    processor=ServiceSize(minimum=2),
    waf=True,
)

PROD = Environment(
    name="prod",
    cidr="10.30.0.0/16",
    tokens=Tokens(
        issuer="https://login.example.com/",
        jwks_url="https://login.example.com/.well-known/jwks.json",
        audience="orders",
    ),
    egress=Egress.NAT_PER_ZONE,
    insights=Insights.ENABLED,
    api=ServiceSize(minimum=3, maximum=20),
    processor=ServiceSize(minimum=2, maximum=20),
    deployment=Deployment(bake_minutes=30),
    waf=True,
    log_days=365,
    quiet_minutes=30,
    exec=False,
    protected=True,
)

ENVIRONMENTS = {environment.name: environment for environment in (DEV, UAT, PROD)}


class UnknownEnvironment(ValueError):
    """No environment has this name, and it is no feature's."""


def environment_of(name: str) -> Environment:
    """The environment of this name; `feat-…` makes one of its own on what `dev` shares.

    Raises:
        UnknownEnvironment: if there is none.
    """
    if name in ENVIRONMENTS:
        return ENVIRONMENTS[name]
    if not name.startswith(FEATURE_PREFIX) or not NAME_PATTERN.fullmatch(name) or len(name) > MAX_NAME_LENGTH:
        raise UnknownEnvironment(
            f"{name!r} is no environment: {', '.join(ENVIRONMENTS)}, or {FEATURE_PREFIX}… in lower case letters, "
            f"digits and single dashes, at most {MAX_NAME_LENGTH}"
        )
    return feature_of(name, DEV)


def feature_of(name: str, host: Environment) -> Environment:
    """An environment that comes with a branch and goes with it: one Spot task of each service, rolled, on the host's
    VPC, cluster and load balancer, with tables and queues of its own, kept for days."""
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
        deployment=Deployment(strategy=Strategy.ROLLING),
        log_days=3,
        protected=False,
    )
