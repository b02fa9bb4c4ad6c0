"""The figures in the docstrings of environments.py and in docs/costs.md are those of `infra/costs.py`."""

import inspect
import re
from dataclasses import replace
from pathlib import Path

import pytest

from infra import environments
from infra import quantities as q
from infra.cost_tables import TABLES, with_tables
from infra.costs import Load, compute, data, egress, monthly, total
from infra.environments import (
    DEV,
    PROD,
    UAT,
    ZONES,
    Architecture,
    Capacity,
    Egress,
    Environment,
    Insights,
    OnDemand,
    Payments,
    Provisioned,
    ServiceSize,
    environment_of,
)
from infra.prices import LOOKED_UP, Prices

DOCS = Path(__file__).parents[2] / "docs"
COSTS, DEPLOY = DOCS / "costs.md", DOCS / "deploy.md"
PRICES = Prices()
FEATURE = environment_of("feat-example")
CLOSED = replace(PROD, egress=Egress.ENDPOINTS, payments=Payments(api_base="https://payments.internal"), webhooks=False)
TASK = [ServiceSize(minimum=1)]


def nat(choice: Egress) -> float:
    return total(egress(replace(PROD, egress=choice), 0, PRICES))


def waf() -> float:
    return total(part for part in monthly(PROD) if part.name in {"WAF: web ACL", "WAF: rules"})


def insights(choice: Insights, environment: Environment) -> float:
    return total(p for p in monthly(replace(environment, insights=choice)) if p.name == "Container Insights")


ON_DEMAND_100 = 100 * q.SECONDS / q.MILLION * PRICES.million_write_units

SAID = [
    (r"One NAT gateway: about ([\d.]+)", nat(Egress.NAT_SINGLE)),
    (r"One NAT gateway: about 38, and ([\d.]+) per GB", PRICES.nat_gb),
    (r"One NAT gateway in each of three zones: about ([\d.]+)", nat(Egress.NAT_PER_ZONE)),
    (r"about ([\d.]+) for each of five to ten", ZONES * q.HOURS * PRICES.endpoint_hour),
    (r"About ([\d.]+) per task\. No servers", total(compute(PROD, TASK, PRICES))),
    (
        r"About ([\d.]+) per task. AWS",
        total(compute(replace(PROD, capacity=Capacity.FARGATE_SPOT), TASK, PRICES)),
    ),
    (r"per second cost about ([\d.]+)", 100 * q.HOURS * PRICES.write_capacity_hour),
    (r"on-demand writes about ([\d.]+)\.", ON_DEMAND_100),
    (r"about 1 when idle, ([\d.]+) per million write", PRICES.million_write_units),
    (r"About ([\d.]+) each\. With ENI", total(compute(replace(PROD, capacity=Capacity.EC2), TASK, PRICES)) / 2),
    (r"About ([\d.]+), and 0\.60 per million requests", waf()),
    (r"and ([\d.]+) per million requests", PRICES.million_firewall_requests),
    (r"Retention of logs; ([\d.]+) per GB once", PRICES.log_gb),
    (r"per GB once, ([\d.]+) per GB and month", PRICES.log_gb_month),
]
"""Figures in the docstrings of `environments.py`, with where they stand, and what they are by `costs.py`."""


class TestDocstrings:
    TEXT = " ".join(inspect.getsource(environments).split())

    @pytest.mark.parametrize(("pattern", "usd"), SAID, ids=[pattern for pattern, _ in SAID])
    def test_a_choice_costs_what_its_docstring_says(self, pattern: str, usd: float) -> None:
        found = re.findall(pattern, self.TEXT)
        assert len(found) == 1, f"environments.py says {pattern!r} {len(found)} times: follow it here"
        assert float(found[0]) == pytest.approx(usd, rel=0.15)

    @pytest.mark.parametrize(
        ("pattern", "choice"),
        [
            (r"Metrics by cluster and service: about (\d+) to (\d+)", Insights.ENABLED),
            (r"Metrics by task and container too: about (\d+) to (\d+)", Insights.ENHANCED),
        ],
    )
    def test_insights_cost_within_what_its_docstring_says(self, pattern: str, choice: Insights) -> None:
        ((low, high),) = re.findall(pattern, self.TEXT)
        for environment in (UAT, PROD):
            assert 0.85 * float(low) <= insights(choice, environment) <= 1.15 * float(high)

    def test_arm_is_a_fifth_cheaper(self) -> None:
        arm, x86 = (total(compute(replace(PROD, architecture=each), TASK, PRICES)) for each in Architecture)
        assert arm / x86 == pytest.approx(0.8, rel=0.02)

    def test_a_second_region_costs_about_as_much_again(self) -> None:
        assert total(monthly(replace(PROD, regions=("eu-central-1", "eu-west-1")))) / total(
            monthly(PROD)
        ) == pytest.approx(2, rel=0.15)


class TestDocument:
    TEXT = COSTS.read_text(encoding="utf-8")

    @pytest.mark.parametrize("document", [COSTS, DEPLOY], ids=lambda document: document.name)
    def test_it_shows_what_the_command_makes(self, document: Path) -> None:
        text = document.read_text(encoding="utf-8")
        assert with_tables(text) == text, "run `make docs`"

    def test_every_table_has_its_place(self) -> None:
        assert all(f"<!-- {name} -->" in self.TEXT for name in TABLES)
        assert "<!-- environments -->" in DEPLOY.read_text(encoding="utf-8")

    def test_a_changed_figure_is_made_anew(self) -> None:
        changed = self.TEXT.replace("| NAT gateways |", "| NAT gateways | 1.00 |")
        assert changed != self.TEXT
        assert with_tables(changed) == self.TEXT

    @pytest.mark.parametrize("text", ["", "<!-- egrets -->\n<!-- end -->"])
    def test_a_document_without_a_table_or_with_an_unknown_one_is_an_error(self, text: str) -> None:
        with pytest.raises(ValueError, match="environments, egress, capacity, billing"):
            with_tables(text)

    def test_it_tells_when_the_prices_were_looked_up(self) -> None:
        assert LOOKED_UP in self.TEXT

    def test_a_feature_environment_costs_a_quarter_of_dev(self) -> None:
        assert total(monthly(FEATURE)) / total(monthly(DEV)) == pytest.approx(1 / 4, rel=0.15)

    def test_network_and_balancer_are_three_quarters_of_dev(self) -> None:
        fixed = ("NAT gateways", "Load balancer")
        part = total(part for part in monthly(DEV) if part.name.startswith(fixed))
        assert part / total(monthly(DEV)) == pytest.approx(0.75, rel=0.1)

    @pytest.mark.parametrize(("choice", "gigabytes"), [(Egress.NAT_PER_ZONE, 160), (Egress.NAT_SINGLE, 2140)])
    def test_endpoints_pay_beyond_so_many_gigabytes(self, choice: Egress, gigabytes: int) -> None:
        def cost(environment: Environment, share: float) -> float:
            return total(egress(environment, share * gigabytes, PRICES))

        gateways = replace(PROD, egress=choice)
        assert cost(CLOSED, 0.95) > cost(gateways, 0.95)
        assert cost(CLOSED, 1.05) < cost(gateways, 1.05)

    def test_no_other_choice_saves_as_much_in_prod_as_one_nat_gateway(self) -> None:
        others = (
            replace(PROD, waf=False),
            replace(PROD, insights=Insights.DISABLED),
            replace(PROD, capacity=Capacity.FARGATE_SPOT),
            replace(PROD, log_days=1),
        )
        least = min(total(monthly(other)) for other in others)
        assert total(monthly(replace(PROD, egress=Egress.NAT_SINGLE))) < least

    def test_a_gigabyte_is_written_for_the_price_of_keeping_it_for_a_year_and_a_half(self) -> None:
        assert PRICES.log_gb / PRICES.log_gb_month == pytest.approx(18, rel=0.1)

    @pytest.mark.parametrize("tasks", [1, 5, 20, 100])
    def test_instances_are_never_cheaper_than_fargate(self, tasks: int) -> None:
        services = [ServiceSize(minimum=tasks, maximum=tasks)]
        instances, fargate = (
            total(compute(replace(PROD, capacity=each), services, PRICES)) for each in (Capacity.EC2, Capacity.FARGATE)
        )
        assert instances > fargate

    def test_provisioned_capacity_wins_from_a_steady_order_a_second_on(self) -> None:
        def cost(billing: OnDemand | Provisioned, rate: float) -> float:
            return total(data(replace(PROD, billing=billing), Load.steady(rate), PRICES, home=True))

        assert cost(Provisioned(), 1.0) > cost(OnDemand(), 1.0)
        assert cost(Provisioned(), 1.6) < cost(OnDemand(), 1.6)

    def test_enhanced_insights_cost_about_11_for_each_task(self) -> None:
        assert pytest.approx(11, abs=0.5) == q.ENHANCED_TASK_METRICS * PRICES.enhanced_metric_month
