"""What an environment costs: each choice by hand, and orders as docs/scale.md has them."""

import json
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from infra import quantities as q
from infra.costs import AT_REST, Load, Part, compute, egress, monthly, total
from infra.environments import (
    DEV,
    ENVIRONMENTS,
    OPEN_SHARDS,
    PROD,
    ZONES,
    Architecture,
    Capacity,
    Egress,
    Environment,
    Insights,
    Instances,
    OnDemand,
    Payments,
    Provisioned,
    ServiceSize,
    environment_of,
)
from infra.operate.__main__ import app
from infra.prices import Prices
from order_notifier.config import NotifierSettings
from order_processor.config import ProcessorSettings
from order_processor.sweeper import REPORT_EVERY
from order_shared.storage.outbox import KeyRotation, parked_rotation, sweep_rotation
from order_shared.tables import TABLES
from tests.bench.prices import OrderKind, bill

DOCUMENT = Path(__file__).parents[2] / "docs" / "costs.md"
PRICES = Prices()
FEATURE = environment_of("feat-example")
CLOSED = replace(PROD, egress=Egress.ENDPOINTS, payments=Payments(api_base="https://payments.internal"), webhooks=False)
TASK = [ServiceSize(minimum=1)]


def quantities(environment: Environment, load: Load = AT_REST) -> dict[str, float]:
    return {part.name: part.quantity for part in monthly(environment, load)}


class TestByHand:
    def test_a_part_is_its_quantity_times_its_price(self) -> None:
        assert Part(name="NAT", unit="hour", quantity=730, price=0.05).usd == 36.5

    def test_tasks(self) -> None:
        parts = quantities(replace(PROD, api=ServiceSize(cpu=1024, memory=4096, minimum=3), processor=ServiceSize()))
        assert parts["Tasks, Fargate: vCPU"] == 730 * (3 * 1 + 1 * 0.5 + 2 * 0.5)
        assert parts["Tasks, Fargate: memory"] == 730 * (3 * 4 + 1 * 1 + 2 * 1)

    @pytest.mark.parametrize(
        ("capacity", "architecture", "hour"),
        [
            (Capacity.FARGATE, Architecture.ARM64, 0.5 * 0.03725 + 0.00409),
            (Capacity.FARGATE, Architecture.X86_64, 0.5 * 0.04656 + 0.00511),
            (Capacity.FARGATE_SPOT, Architecture.ARM64, 0.336 * (0.5 * 0.03725 + 0.00409)),
        ],
    )
    def test_the_hour_of_a_task(self, capacity: Capacity, architecture: Architecture, hour: float) -> None:
        environment = replace(PROD, capacity=capacity, architecture=architecture)
        assert total(compute(environment, TASK, PRICES)) == pytest.approx(730 * hour)

    @pytest.mark.parametrize(
        ("size", "count"),
        [
            (ServiceSize(minimum=1), 2),  # the least
            (ServiceSize(minimum=8, maximum=8), 3),  # four fill one by CPU, and a tenth is kept free
            (ServiceSize(cpu=256, memory=512, minimum=30, maximum=30), 5),  # eight by CPU
            (ServiceSize(cpu=256, memory=2048, minimum=30, maximum=30), 9),  # by memory
            (ServiceSize(minimum=50, maximum=50), 14),
        ],
    )
    def test_instances_that_tasks_fill(self, size: ServiceSize, count: int) -> None:
        parts = {part.name: part for part in compute(replace(PROD, capacity=Capacity.EC2), [size], PRICES)}
        assert parts["Instances: m7g.large"].quantity == 730 * count
        assert parts["Instances: root volumes"].quantity == 30 * count
        assert parts["Instances: metrics"].quantity == 7 * count

    def test_a_feature_environment_takes_a_share_of_its_hosts_instances(self) -> None:
        feature = replace(FEATURE, capacity=Capacity.EC2)
        assert quantities(feature)["Instances: m7g.large"] == pytest.approx(730 * 0.75 / 0.9)

    def test_an_instance_without_a_price_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"m9z\.large.*infra/prices\.py"):
            monthly(replace(PROD, capacity=Capacity.EC2, instances=Instances(type="m9z.large")))

    @pytest.mark.parametrize(("choice", "gateways"), [(Egress.NAT_SINGLE, 1), (Egress.NAT_PER_ZONE, ZONES)])
    def test_nat(self, choice: Egress, gateways: int) -> None:
        cost = total(egress(replace(PROD, egress=choice), 100, PRICES))
        assert cost == pytest.approx(gateways * 730 * (0.052 + 0.005) + 100 * 0.052)

    @pytest.mark.parametrize(
        ("environment", "endpoints"),
        [
            (CLOSED, 5),
            (replace(CLOSED, exec=True), 6),
            (replace(CLOSED, exec=True, capacity=Capacity.EC2), 10),
        ],
    )
    def test_endpoints_cost_in_each_zone(self, environment: Environment, endpoints: int) -> None:
        cost = total(egress(environment, 100, PRICES))
        assert cost == pytest.approx(endpoints * ZONES * 730 * 0.012 + 100 * 0.01)

    def test_the_load_balancer_has_an_address_in_each_zone(self) -> None:
        assert quantities(DEV)["Load balancer: addresses"] == 3 * 730

    def test_waf_costs_by_its_rules_and_requests(self) -> None:
        with_waf = quantities(replace(DEV, waf=True), Load(orders=2e6))
        assert {name: with_waf[name] for name in with_waf if name.startswith("WAF")} == {
            "WAF: web ACL": 1,
            "WAF: rules": 4,
            "WAF: requests": 2,
        }

    @pytest.mark.parametrize(
        ("insights", "usd"),
        [
            (Insights.DISABLED, 0.0),
            (Insights.ENABLED, (8 + 3 * 17) * 0.30),
            (Insights.ENHANCED, (23 + 7 * 157) * 0.07),
        ],
    )
    def test_insights(self, insights: Insights, usd: float) -> None:
        parts = monthly(replace(PROD, insights=insights))
        assert total(part for part in parts if part.name == "Container Insights") == pytest.approx(usd)

    def test_alarms_of_silence_and_of_scaling(self) -> None:
        fixed = ServiceSize(minimum=2, maximum=2)
        counts = [
            quantities(replace(DEV, api=api, quiet_minutes=quiet))["Alarms"]
            for api, quiet in ((fixed, None), (fixed, 30), (ServiceSize(), 30))
        ]
        assert [second - first for first, second in pairwise(counts)] == [1, q.SCALING_ALARMS]

    def test_logs_are_kept_for_their_days(self) -> None:
        parts = quantities(replace(DEV, log_days=365))
        assert parts["Logs: kept"] == pytest.approx(parts["Logs: written"] * 12)


class TestTables:
    def test_provisioned_capacity_at_rest_is_its_minimum_in_each_table_and_index(self) -> None:
        parts = quantities(replace(PROD, billing=Provisioned(minimum=10)))
        assert parts["DynamoDB: write capacity"] == 730 * 12 * 10
        assert parts["DynamoDB: read capacity"] == 730 * 12 * 10
        assert parts["DynamoDB: alarms of its scaling"] == 12 * 8

    def test_provisioned_capacity_follows_the_load(self) -> None:
        parts = quantities(replace(PROD, billing=Provisioned(utilization=50)), Load.steady(10))
        units = 2 * 10 * (4 + 2 + 1 + 2 + 6 + 2 + 3) + 5 * 5  # of five that orders do not write, the minimum
        assert parts["DynamoDB: write capacity"] == 730 * units

    def test_provisioned_capacity_ends_at_its_maximum(self) -> None:
        parts = quantities(replace(PROD, billing=Provisioned(maximum=50)), Load.steady(1000))
        assert parts["DynamoDB: write capacity"] == 730 * (7 * 50 + 5 * 5)

    def test_sweeps_are_read_at_rest(self) -> None:
        parts = quantities(replace(PROD, processor=ServiceSize(minimum=2)))
        assert parts["DynamoDB: reads"] * 1e6 == pytest.approx(2 * 730 * (720 * 18 + 60 * 20) * 0.5)

    def test_what_is_stored_is_kept_recoverable(self) -> None:
        parts = quantities(PROD, Load(stored_orders=1e6))
        assert parts["DynamoDB: stored"] == parts["DynamoDB: recovery"] == pytest.approx(1.212)

    def test_orders_write_known_tables_and_indexes(self) -> None:
        known = {name for table in TABLES for name in (table.name, *(index.name for index in table.indexes))}
        assert set(q.ORDER_WRITES) <= known


class TestRegions:
    WIDE = replace(PROD, regions=("eu-central-1", "eu-west-1"))

    def test_each_region_has_a_network_a_balancer_and_keys_but_one_zone_serves_all(self) -> None:
        one, two = quantities(PROD), quantities(self.WIDE)
        for name in ("NAT gateways", "Load balancer", "KMS keys", "Secrets", "Dashboard", "WAF: web ACL"):
            assert two[name] == 2 * one[name]
        assert two["Route 53 zone"] == 1

    def test_only_home_runs_workers(self) -> None:
        one, two = quantities(PROD), quantities(self.WIDE)
        assert two["Tasks, Fargate: vCPU"] - one["Tasks, Fargate: vCPU"] == 730 * PROD.api.minimum * 0.5
        assert two["Queue: requests"] == one["Queue: requests"]
        assert two["Events: queue requests"] == one["Events: queue requests"]

    def test_replicas_are_written_and_stored_but_not_read(self) -> None:
        load = Load(orders=1e6)
        one, two = quantities(PROD, load), quantities(self.WIDE, load)
        assert two["DynamoDB: writes"] == 2 * one["DynamoDB: writes"]
        assert two["DynamoDB: stored"] == 2 * one["DynamoDB: stored"]
        assert two["DynamoDB: reads"] == one["DynamoDB: reads"]
        assert two["Events: writes"] == 2 * one["Events: writes"]
        assert two["Events: stored"] == 2 * one["Events: stored"]
        assert two["Events: reads"] == one["Events: reads"]

    def test_orders_are_served_at_home_only(self) -> None:
        one, two = quantities(PROD, Load(orders=1e6)), quantities(self.WIDE, Load(orders=1e6))
        assert two["Load balancer: units"] == one["Load balancer: units"]
        assert two["Events: pipe"] == one["Events: pipe"] == 2
        assert two["Events: topic"] == one["Events: topic"] == 2
        assert two["WAF: requests"] == one["WAF: requests"]


def test_a_feature_environment_has_only_what_is_its_own() -> None:
    assert set(quantities(FEATURE)) == {
        "Tasks, Spot: vCPU",
        "Tasks, Spot: memory",
        "NAT gateways: data",
        "DynamoDB: reads",
        "Queue: requests",
        "Events: queue requests",
        "Alarms",
        "Custom metrics",
        "Logs: written",
        "Logs: kept",
        "Secrets",
    }


@pytest.mark.parametrize(("choice", "metrics"), [(Insights.ENABLED, 3 * 17), (Insights.ENHANCED, 3 * 157)])
def test_a_feature_environment_pays_insights_of_its_services_only(choice: Insights, metrics: int) -> None:
    assert quantities(replace(FEATURE, insights=choice))["Container Insights"] == metrics


@pytest.mark.parametrize("environment", [*ENVIRONMENTS.values(), FEATURE], ids=lambda each: each.name)
def test_every_combination_of_choices_has_a_cost(environment: Environment) -> None:
    payments = Payments(api_base="https://payments.internal")
    billings: tuple[OnDemand | Provisioned, ...] = (OnDemand(), Provisioned())
    for way, capacity, insights, architecture, billing in product(Egress, Capacity, Insights, Architecture, billings):
        chosen = replace(
            environment,
            payments=payments,
            webhooks=False,
            egress=way,
            capacity=capacity,
            insights=insights,
            architecture=architecture,
            billing=billing,
        )
        parts = monthly(chosen, Load(orders=1e6))
        assert all(part.usd > 0 for part in parts)
        assert len({part.name for part in parts}) == len(parts)
        assert total(monthly(chosen)) < total(parts)


class TestOrders:
    """Orders cost here what they cost in docs/scale.md."""

    KIND = OrderKind()

    def test_units_are_those_of_the_model(self) -> None:
        assert sum(q.ORDER_WRITES.values()) == self.KIND.write_units
        assert pytest.approx(OrderKind(index_queries=0).read_units) == q.ORDER_READS
        assert self.KIND.queue_requests == q.ORDER_QUEUE_REQUESTS
        assert self.KIND.log_bytes == q.ORDER_LOG_GB * 1e9
        assert self.KIND.stored_gb == pytest.approx(1e6 * q.ORDER_STORED_GB)

    def test_a_million_orders_cost_what_the_model_says_without_tasks_and_sweeps(self) -> None:
        added = {part.name: part.usd for part in monthly(DEV, Load(orders=1e6))}
        for part in monthly(DEV):
            added[part.name] -= part.usd
        cost = bill(self.KIND, PRICES)
        assert added["DynamoDB: writes"] == pytest.approx(cost.writes)
        assert added["Queue: requests"] == pytest.approx(cost.queue)
        assert added["Load balancer: units"] == pytest.approx(cost.balancer)
        assert added["Logs: written"] == pytest.approx(cost.logs)
        assert added["DynamoDB: stored"] == pytest.approx(cost.storage_month)
        sweeps = self.KIND.index_queries * 0.5 * PRICES.million_read_units
        assert added["DynamoDB: reads"] == pytest.approx(cost.reads - sweeps)

    def test_a_notifier_at_rest_polls_as_its_settings_say(self) -> None:
        fields = NotifierSettings.model_fields
        assert 3600 * fields["pollers"].default / fields["receive_wait_seconds"].default == q.CHANGE_POLLS_PER_HOUR

    def test_a_processor_at_rest_is_as_busy_as_its_settings_say(self) -> None:
        fields = ProcessorSettings.model_fields
        looks = 3600 / fields["sweep_interval_seconds"].default
        reports = 3600 / REPORT_EVERY.total_seconds()
        for written, queries in q.SWEEP_QUERIES_PER_HOUR.items():
            swept, parked = idle_keys(sweep_rotation(written)), idle_keys(parked_rotation(written))
            assert swept * looks + parked * reports == queries, f"{written} keys are written"
        assert tuple(q.SWEEP_QUERIES_PER_HOUR) == OPEN_SHARDS
        assert 3600 * fields["pollers"].default / fields["receive_wait_seconds"].default == q.POLLS_PER_HOUR


def idle_keys(rotation: KeyRotation) -> int:
    """Return the keys that a look reads when all are empty, after the first look."""
    for key in rotation.look():
        rotation.was_read(key, found=False)
    return len(rotation.look())


class TestCommand:
    def costs(self, *words: str) -> Result:
        return CliRunner().invoke(app, ["costs", *words])

    def test_it_prints_one_environment(self) -> None:
        printed = self.costs("--env", "feat-example").stdout
        assert printed.startswith("feat-example, US dollars per month\n\n| part | quantity | price | USD |\n")
        assert f"| **sum** |  |  | **{total(monthly(FEATURE)):.2f}** |" in printed

    def test_it_prints_all_environments(self) -> None:
        printed = self.costs().stdout
        assert [line.split(",")[0] for line in printed.splitlines() if "US dollars" in line] == [*ENVIRONMENTS]

    def test_it_adds_orders(self) -> None:
        expected = total(monthly(PROD, Load(orders=1e6)))
        assert f"**{expected:.2f}**" in self.costs("--env", "prod", "--orders", "1e6").stdout
        document = json.loads(self.costs("--env", "prod", "--orders", "1e6", "--output", "json").stdout)
        assert document["prod"]["total"] == round(expected, 2)

    def test_an_unknown_environment_is_a_usage_error(self) -> None:
        result = self.costs("--env", "staging")
        assert (result.exit_code, "'staging' is no environment" in result.stderr) == (2, True)
