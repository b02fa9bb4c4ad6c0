"""Cost tables for the documents. `make docs` writes each table between its marks in a document."""

import argparse
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from infra import quantities as q
from infra.costs import Load, Part, compute, data, egress, monthly, table, total
from infra.environments import (
    DEV,
    PROD,
    Architecture,
    Capacity,
    Egress,
    OnDemand,
    Payments,
    Provisioned,
    ServiceSize,
    environment_of,
)
from infra.prices import Prices


def environments_table() -> str:
    """Return the costs of idle environments (dev, prod, feature), and those that orders or a second region add."""
    environments = {"dev": DEV, "prod": PROD, "a feature environment": environment_of("feat-example")}
    bills = [{part.name: part for part in monthly(each)} for each in environments.values()]
    sums = [total(bill.values()) for bill in bills]
    busy = [total(monthly(each, Load(orders=q.MILLION))) for each in environments.values()]
    regions = [replace(each, regions=(*each.regions, "eu-west-1")) for each in (DEV, PROD)]
    wide = [total(monthly(each)) for each in regions]
    parts = [[name, *(f"{bill[name].usd:.2f}" if name in bill else "" for bill in bills)] for name in _in_order(bills)]
    return table(
        [
            ["USD a month, at rest", *environments],
            *parts,
            ["**sum**", *(f"**{usd:.0f}**" for usd in sums)],
            ["more with a million orders", *(f"{more - usd:.2f}" for more, usd in zip(busy, sums, strict=True))],
            ["more with a second region", *(f"{more - usd:.0f}" for more, usd in zip(wide, sums, strict=False)), ""],
        ]
    )


def _in_order(bills: Iterable[Mapping[str, Part]]) -> list[str]:
    """Return the names of all parts, each once, in the order in which the bills have them."""
    names: list[str] = []
    for bill in bills:
        place = 0
        for name in bill:
            if name not in names:
                names.insert(place, name)
            place = names.index(name) + 1
    return names


def egress_table() -> str:
    """Return the egress costs of a prod region, by egress setting and gigabytes per month."""
    closed = replace(
        PROD, egress=Egress.ENDPOINTS, payments=Payments(api_base="https://payments.internal"), webhooks=False
    )
    choices = {
        "`nat_single`": replace(PROD, egress=Egress.NAT_SINGLE),
        "`nat_per_zone`": PROD,
        "`endpoints`": closed,
        "`endpoints`, with shells in tasks": replace(closed, exec=True),
        "`endpoints`, with shells and EC2": replace(closed, exec=True, capacity=Capacity.EC2),
    }
    gigabytes = (0, 100, 1000)
    rows = [["USD a month", *(f"{each:,} GB" for each in gigabytes)]]
    for name, choice in choices.items():
        rows.append([name, *(f"{total(egress(choice, each, Prices())):.0f}" for each in gigabytes)])
    return table(rows)


def capacity_table() -> str:
    """Return the compute costs, by capacity setting and number of tasks of half a vCPU and 1 GB."""
    choices = {
        "Fargate, ARM": PROD,
        "Fargate, x86": replace(PROD, architecture=Architecture.X86_64),
        "Spot, ARM": replace(PROD, capacity=Capacity.FARGATE_SPOT),
        f"EC2, {PROD.instances.type}": replace(PROD, capacity=Capacity.EC2),
    }
    rows = [["tasks", *choices]]
    for tasks in (1, 5, 10, 20, 50):
        services = [ServiceSize(minimum=tasks, maximum=tasks)]
        costs = (total(compute(choice, services, Prices())) for choice in choices.values())
        rows.append([str(tasks), *(f"{usd:,.0f}" for usd in costs)])
    return table(rows)


def billing_table() -> str:
    """Return the costs of the tables, on demand and provisioned, by orders per second throughout the month."""
    choices: dict[str, OnDemand | Provisioned] = {"on demand": OnDemand(), "provisioned": Provisioned()}
    rows = [["orders a second, without a pause", *choices]]
    for rate in (0, 1, 10, 100):
        load = Load.steady(rate)
        costs = (total(data(replace(PROD, billing=choice), load, Prices(), home=True)) for choice in choices.values())
        rows.append([str(rate), *(f"{usd:,.0f}" for usd in costs)])
    return table(rows)


TABLES: Mapping[str, Callable[[], str]] = {
    "environments": environments_table,
    "egress": egress_table,
    "capacity": capacity_table,
    "billing": billing_table,
}
"""Tables by name. In a document, each is between `<!-- name -->` and `<!-- end -->`."""


def with_tables(text: str) -> str:
    """Return the document with the tables between its marks generated again.

    Raises:
        ValueError: if the document marks no table, or an unknown one.
    """
    names = re.findall(r"<!-- (?!end)(.*?) -->\n", text)
    if not names or not set(names) <= set(TABLES):
        raise ValueError(f"the document marks {names}; it must mark some of the tables {', '.join(TABLES)}")
    for name in names:
        marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = marked.sub(f"\\g<1>{TABLES[name]()}\n\\g<2>", text)
    return text


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.cost_tables", description="Write the tables again.")
    parser.add_argument("document", type=Path, nargs="+")
    for document in parser.parse_args(arguments).document:
        document.write_text(with_tables(document.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
