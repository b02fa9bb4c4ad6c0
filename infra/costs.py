"""Monthly costs of an environment, from its settings, the quantities of `quantities.py` and the prices of `prices.py`.

Standard library only. `orderctl env costs` prints the costs, and `cost_tables.py` writes them into the documents.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil

from infra import quantities as q
from infra.environments import (
    ZONES,
    Architecture,
    Capacity,
    Egress,
    Environment,
    Insights,
    Provisioned,
    ServiceSize,
)
from infra.prices import INSTANCE_TYPES, Prices
from order_shared.tables import EVENTS, INVENTORY, OPEN_ORDERS_INDEX, ORDERS, TABLES


@dataclass(frozen=True, kw_only=True)
class Load:
    """Load of an environment: orders of three lines without payment, spread evenly over the month.

    The number of tasks is assumed to stay at its minimum, since one task handles more than 200 orders per second.
    """

    orders: float = 0.0
    """Orders per month."""
    stored_orders: float = 0.0
    """Orders stored before this month; orders are never deleted."""

    @classmethod
    def steady(cls, orders_per_second: float) -> "Load":
        return cls(orders=orders_per_second * q.SECONDS)


AT_REST = Load()


@dataclass(frozen=True, kw_only=True)
class Part:
    """One line of a monthly bill."""

    name: str
    unit: str
    """Unit of `quantity` and `price`."""
    quantity: float
    price: float
    """US dollars."""

    @property
    def usd(self) -> float:
        return self.quantity * self.price


def monthly(environment: Environment, load: Load = AT_REST, prices: Prices | None = None) -> tuple[Part, ...]:
    """Return the monthly bill of an environment, summed over its regions. Parts with quantity 0 are left out.

    A feature environment pays only for its own resources. Its host pays for network, load balancer, keys and dashboard.

    Raises:
        ValueError: if the price of its instance type is unknown.
    """
    bill: dict[str, Part] = {}
    for region in environment.regions:
        for part in _region(environment, load, prices or Prices(), home=region == environment.home):
            earlier = bill[part.name].quantity if part.name in bill else 0.0
            bill[part.name] = replace(part, quantity=earlier + part.quantity)
    return tuple(part for part in bill.values() if part.quantity)


def total(parts: Iterable[Part]) -> float:
    """Return the sum of the parts in US dollars."""
    return sum(part.usd for part in parts)


def _region(environment: Environment, load: Load, prices: Prices, *, home: bool) -> Iterator[Part]:
    """Yield the parts of the bill for one region. Only the home region runs workers and receives orders."""
    services = [environment.api, environment.processor, environment.notifier] if home else [environment.api]
    tasks = sum(size.minimum for size in services)
    orders = load.orders if home else 0.0
    yield from compute(environment, services, prices)
    if not environment.is_feature:
        yield from _front(environment, orders, prices)
    yield from egress(environment, q.TASK_EGRESS_GB * tasks + q.ORDER_EGRESS_GB * orders, prices)
    yield from data(environment, load, prices, home=home)
    polls = q.POLLS_PER_HOUR * q.HOURS * environment.processor.minimum if home else 0.0
    requests = polls + q.ORDER_QUEUE_REQUESTS * orders
    yield Part(
        name="Queue: requests", unit="million", quantity=requests / q.MILLION, price=prices.million_queue_requests
    )
    yield from events(environment, load, prices, home=home)
    yield from _watching(environment, services, orders, prices, home=home)
    yield Part(name="Secrets", unit="month", quantity=q.SECRETS, price=prices.secret_month)
    if not environment.is_feature:
        yield Part(name="KMS keys", unit="month", quantity=q.KEYS, price=prices.key_month)
        yield Part(name="Images", unit="GB-month", quantity=q.IMAGES_GB, price=prices.image_gb_month)
        yield Part(name="Logs and state in S3", unit="GB-month", quantity=q.OBJECTS_GB, price=prices.object_gb_month)
        yield Part(name="Route 53 zone", unit="month", quantity=int(home), price=prices.zone_month)


def compute(environment: Environment, services: Sequence[ServiceSize], prices: Prices) -> Iterator[Part]:
    """Yield the parts of the bill for the compute of these services, each at its minimum number of tasks."""
    vcpus = sum(size.minimum * size.cpu for size in services) / 1024
    memory = sum(size.minimum * size.memory for size in services) / 1024
    if environment.capacity is Capacity.EC2:
        kind = environment.instances.type
        if kind not in INSTANCE_TYPES:
            raise ValueError(f"there is no price for the instance type {kind}: add it to infra/prices.py")
        count = _instances(environment, services)
        yield Part(name=f"Instances: {kind}", unit="hour", quantity=q.HOURS * count, price=INSTANCE_TYPES[kind].hour)
        yield Part(
            name="Instances: root volumes", unit="GB-month", quantity=q.VOLUME_GB * count, price=prices.volume_gb_month
        )
        yield Part(
            name="Instances: metrics",
            unit="metric-month",
            quantity=q.INSTANCE_METRICS * count,
            price=prices.metric_month,
        )
        return
    arm = environment.architecture is Architecture.ARM64
    vcpu, gb = (prices.arm_vcpu_hour, prices.arm_memory_gb_hour) if arm else (prices.vcpu_hour, prices.memory_gb_hour)
    share, label = (prices.spot_share, "Spot") if environment.capacity is Capacity.FARGATE_SPOT else (1.0, "Fargate")
    yield Part(name=f"Tasks, {label}: vCPU", unit="hour", quantity=q.HOURS * vcpus, price=share * vcpu)
    yield Part(name=f"Tasks, {label}: memory", unit="GB-hour", quantity=q.HOURS * memory, price=share * gb)


def _instances(environment: Environment, services: Sequence[ServiceSize]) -> float:
    """Return the number of instances. For a feature environment, it is the fraction that it uses of the host's."""
    kind, instances = INSTANCE_TYPES[environment.instances.type], environment.instances
    filled = max(
        sum(size.minimum * size.cpu for size in services) / kind.cpu,
        sum(size.minimum * size.memory for size in services) / kind.memory,
        sum(size.minimum for size in services) / kind.tasks,
    )
    wanted = filled * 100 / instances.target_capacity
    return wanted if environment.is_feature else max(instances.minimum, ceil(wanted))


def _front(environment: Environment, orders: float, prices: Prices) -> Iterator[Part]:
    yield Part(name="Load balancer", unit="hour", quantity=q.HOURS, price=prices.balancer_hour)
    yield Part(name="Load balancer: addresses", unit="hour", quantity=q.HOURS * ZONES, price=prices.address_hour)
    yield Part(
        name="Load balancer: units",
        unit="hour",
        quantity=q.ORDER_BALANCER_UNIT_HOURS * orders,
        price=prices.balancer_unit_hour,
    )
    if environment.waf:
        yield Part(name="WAF: web ACL", unit="month", quantity=1, price=prices.firewall_month)
        yield Part(name="WAF: rules", unit="month", quantity=q.FIREWALL_RULES, price=prices.firewall_rule_month)
        yield Part(
            name="WAF: requests", unit="million", quantity=orders / q.MILLION, price=prices.million_firewall_requests
        )


def egress(environment: Environment, gigabytes: float, prices: Prices) -> Iterator[Part]:
    """Yield the parts of the bill for egress.

    A feature environment pays only for its own traffic. Its host pays for the gateways or endpoints.
    """
    hours = 0 if environment.is_feature else q.HOURS
    if environment.egress is Egress.ENDPOINTS:
        count = len(environment.endpoint_services)
        yield Part(name="Interface endpoints", unit="hour", quantity=hours * ZONES * count, price=prices.endpoint_hour)
        yield Part(name="Interface endpoints: data", unit="GB", quantity=gigabytes, price=prices.endpoint_gb)
        return
    gateways = ZONES if environment.egress is Egress.NAT_PER_ZONE else 1
    yield Part(name="NAT gateways", unit="hour", quantity=hours * gateways, price=prices.nat_hour)
    yield Part(name="NAT gateways: addresses", unit="hour", quantity=hours * gateways, price=prices.address_hour)
    yield Part(name="NAT gateways: data", unit="GB", quantity=gigabytes, price=prices.nat_gb)


def data(environment: Environment, load: Load, prices: Prices, *, home: bool) -> Iterator[Part]:
    """Yield the parts of the bill for a region's tables.

    A standby region also pays for every write, because each write is replicated to it.
    """
    processors = environment.processor.minimum if home else 0
    sweeps = q.SWEEP_READ_UNITS * q.SWEEP_QUERIES_PER_HOUR[environment.open_shards] * processors
    read_orders = q.ORDER_READS * load.orders if home else 0.0
    if isinstance(environment.billing, Provisioned):
        per_order = {**q.ORDER_WRITES, EVENTS.name: q.ORDER_EVENT_WRITES}
        writes = {name: units * load.orders / q.SECONDS for name, units in per_order.items()}
        looked_up = q.ORDER_EVENT_READS / 2 * (load.orders if home else 0.0) / q.SECONDS
        reads = {
            INVENTORY.name: read_orders / q.SECONDS,
            OPEN_ORDERS_INDEX: sweeps / 3600,
            ORDERS.name: looked_up,
            EVENTS.name: looked_up,
        }
        names = [name for table in TABLES for name in (table.name, *(index.name for index in table.indexes))]
        for what, rates, price in (
            ("write", writes, prices.write_capacity_hour),
            ("read", reads, prices.read_capacity_hour),
        ):
            units = sum(_capacity(environment.billing, rates.get(name, 0.0)) for name in names)
            yield Part(name=f"DynamoDB: {what} capacity", unit="unit-hour", quantity=q.HOURS * units, price=price)
        yield Part(
            name="DynamoDB: alarms of its scaling",
            unit="month",
            quantity=q.CAPACITY_ALARMS * len(names),
            price=prices.alarm_month,
        )
    else:
        written = sum(q.ORDER_WRITES.values()) * load.orders
        yield Part(
            name="DynamoDB: writes", unit="million", quantity=written / q.MILLION, price=prices.million_write_units
        )
        read = q.HOURS * sweeps + read_orders
        yield Part(name="DynamoDB: reads", unit="million", quantity=read / q.MILLION, price=prices.million_read_units)
        appended = q.ORDER_EVENT_WRITES * load.orders / q.MILLION
        yield Part(name="Events: writes", unit="million", quantity=appended, price=prices.million_write_units)
        looked_up = q.ORDER_EVENT_READS * (load.orders if home else 0.0) / q.MILLION
        yield Part(name="Events: reads", unit="million", quantity=looked_up, price=prices.million_read_units)
    stored = q.ORDER_STORED_GB * (load.stored_orders + load.orders)
    yield Part(name="DynamoDB: stored", unit="GB-month", quantity=stored, price=prices.stored_gb_month)
    yield Part(name="DynamoDB: recovery", unit="GB-month", quantity=stored, price=prices.recovery_gb_month)


def events(environment: Environment, load: Load, prices: Prices, *, home: bool) -> Iterator[Part]:
    """Yield the parts of the bill for a region's change feed, and for stored events.

    A standby region has no pipe, and its topic and queue are unused.
    """
    orders = load.orders if home else 0.0
    polls = q.CHANGE_POLLS_PER_HOUR * q.HOURS * environment.notifier.minimum if home else 0.0
    millions = (
        ("pipe", q.ORDER_CHANGES * orders, prices.million_pipe_requests),
        ("topic", q.ORDER_CHANGES * orders, prices.million_topic_requests),
        ("queue requests", polls + q.ORDER_CHANGE_QUEUE_REQUESTS * orders, prices.million_queue_requests),
    )
    for name, quantity, price in millions:
        yield Part(name=f"Events: {name}", unit="million", quantity=quantity / q.MILLION, price=price)
    stored = q.ORDER_EVENT_STORED_GB * load.orders
    price = prices.stored_gb_month + prices.recovery_gb_month
    yield Part(name="Events: stored", unit="GB-month", quantity=stored, price=price)


def _capacity(billing: Provisioned, units_per_second: float) -> int:
    """Return the capacity units that are billed at this load, between the minimum and the maximum of autoscaling."""
    return min(billing.maximum, max(billing.minimum, ceil(units_per_second * 100 / billing.utilization)))


def _watching(
    environment: Environment, services: Sequence[ServiceSize], orders: float, prices: Prices, *, home: bool
) -> Iterator[Part]:
    tasks = sum(size.minimum for size in services)
    scaled = sum(size.maximum > size.minimum for size in services)
    alarms = q.ALARM_METRICS + q.SCALING_ALARMS * scaled
    alarms += q.GREEN_ALARM_METRICS * environment.deployment.shifts_traffic
    alarms += q.HOME_ALARM_METRICS * home
    alarms += home and environment.quiet_minutes is not None
    yield Part(name="Alarms", unit="metric-month", quantity=alarms, price=prices.alarm_month)
    yield Part(name="Custom metrics", unit="metric-month", quantity=q.CUSTOM_METRICS, price=prices.metric_month)
    own_cluster = not environment.is_feature
    if environment.insights is Insights.ENABLED:
        metrics = q.CLUSTER_METRICS * own_cluster + q.SERVICE_METRICS * len(services)
        yield Part(name="Container Insights", unit="metric-month", quantity=metrics, price=prices.metric_month)
    if environment.insights is Insights.ENHANCED:
        metrics = q.ENHANCED_CLUSTER_METRICS * own_cluster + q.ENHANCED_TASK_METRICS * tasks
        yield Part(name="Container Insights", unit="metric-month", quantity=metrics, price=prices.enhanced_metric_month)
    logged = q.TASK_LOG_GB * tasks + q.ORDER_LOG_GB * orders
    if not environment.is_feature:
        yield Part(name="Dashboard", unit="month", quantity=1, price=prices.dashboard_month)
        logged += q.FLOW_LOG_GB
    yield Part(name="Logs: written", unit="GB", quantity=logged, price=prices.log_gb)
    yield Part(
        name="Logs: kept", unit="GB-month", quantity=logged * environment.log_days / q.DAYS, price=prices.log_gb_month
    )


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose head is the first row. All columns except the first are right-aligned."""
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, "|---|" + "---:|" * (len(rows[0]) - 1), *body])


def bill_table(parts: Sequence[Part]) -> str:
    rows = [[part.name, f"{part.quantity:,.2f} {part.unit}", f"{part.price:.6g}", f"{part.usd:.2f}"] for part in parts]
    return table([["part", "quantity", "price", "USD"], *rows, ["**sum**", "", "", f"**{total(parts):.2f}**"]])
