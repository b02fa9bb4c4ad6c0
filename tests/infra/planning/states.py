"""Write the stacks as they are before and after a change: run by `synthesis.py` in infra's own environment.

A state is an environment, with the tables and the rules of the firewall that its stacks are made of. Only the app that
a change is about is written.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from infra.constructs import firewall
from infra.constructs.app import write
from infra.environments import PROD, Capacity, Deployment, Egress, Environment, Provisioned, ServiceSize, Strategy
from infra.services.main import build as build_services
from infra.supporting import data
from infra.supporting.main import build as build_supporting
from order_shared.tables import ORDERS, TABLES, Index, Key, Table
from tests.infra.variants import SECOND_REGION

SUPPORTING, SERVICES = "supporting", "services"
BUILDS = {SUPPORTING: build_supporting, SERVICES: build_services}

OTHER = Index("orders_by_currency", hash_key=Key("currency"))
"""An index that `order_shared.tables` does not have."""


@dataclass(frozen=True, kw_only=True)
class State:
    """The values that the stacks of one app are made of."""

    app: str = SUPPORTING
    environment: Environment = PROD
    orders: Table = ORDERS
    rules: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: firewall.MANAGED)


def orders_with(*indexes: Index) -> Table:
    return replace(ORDERS, indexes=indexes)


OPEN, BY_ID, *LISTS = ORDERS.indexes
INSTANCES = replace(PROD, capacity=Capacity.EC2)
LEAVING = replace(PROD, keep_instances=True)
PROVISIONED = replace(PROD, billing=Provisioned())
REBILLED = replace(PROD, billing=Provisioned(indexes_change=True))
NETWORKS = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")

STATES = {
    "base": State(),
    "one-rule-more": State(rules={**firewall.MANAGED, "AWSManagedRulesSQLiRuleSet": ()}),
    "one-index-more": State(orders=orders_with(OPEN, *LISTS, BY_ID, OTHER)),
    "index-renamed": State(orders=orders_with(OPEN, *LISTS, replace(BY_ID, name="orders_by_identity"))),
    "index-under-both-names": State(orders=orders_with(OPEN, *LISTS, BY_ID, replace(BY_ID, name="orders_by_identity"))),
    "index-changed": State(orders=orders_with(OPEN, *LISTS, replace(BY_ID, include=("status",)))),
    "provisioned": State(environment=PROVISIONED),
    "rebilled": State(environment=REBILLED),
    "rebilled-one-index-more": State(environment=REBILLED, orders=orders_with(OPEN, *LISTS, BY_ID, OTHER)),
    "provisioned-one-index-more": State(environment=PROVISIONED, orders=orders_with(OPEN, *LISTS, BY_ID, OTHER)),
    "instances": State(environment=INSTANCES),
    "leaving-instances": State(environment=LEAVING),
    "three-test-networks": State(environment=replace(PROD, test_cidrs=NETWORKS)),
    "last-two-test-networks": State(environment=replace(PROD, test_cidrs=NETWORKS[1:])),
    "leaving-a-region": State(environment=replace(PROD, leaving_regions=(SECOND_REGION,))),
    "one-nat-gateway": State(environment=replace(PROD, egress=Egress.NAT_SINGLE)),
    "services": State(app=SERVICES),
    "services-on-instances": State(app=SERVICES, environment=INSTANCES),
    "services-on-spot": State(app=SERVICES, environment=replace(PROD, capacity=Capacity.FARGATE_SPOT)),
    "services-that-roll": State(
        app=SERVICES, environment=replace(PROD, deployment=Deployment(strategy=Strategy.ROLLING))
    ),
    "larger-services": State(app=SERVICES, environment=replace(PROD, api=ServiceSize(cpu=1024, memory=2048))),
}


def main(folder: Path) -> None:
    for name, state in STATES.items():
        with _of(state):
            write(BUILDS[state.app], state.environment, folder / name / state.app)


@contextmanager
def _of(state: State) -> Iterator[None]:
    """Let the constructs see the state's tables and rules."""
    tables = tuple(state.orders if table is ORDERS else table for table in TABLES)
    places = (vars(data), "TABLES", tables), (vars(firewall), "MANAGED", dict(state.rules))
    before = [module[name] for module, name, _ in places]
    for module, name, value in places:
        module[name] = value
    try:
        yield
    finally:
        for (module, name, _), value in zip(places, before, strict=True):
            module[name] = value
