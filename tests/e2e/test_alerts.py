"""The alerts, over the running stack: silent while all is well, and on when something is not."""

import asyncio
import uuid
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from devstack.stack import Stack, running_infrastructure
from order_shared.domain.clock import utc_now
from order_shared.domain.order.models import Customer
from order_shared.naming import ORDER_API, ORDER_NOTIFIER, ORDER_PROCESSOR
from order_shared.runtime.adapters import open_adapters
from order_shared.runtime.metrics import Metrics
from tests.e2e.conftest import QUICK, Shop, open_shop
from tests.factories import make_order, make_record
from tests.observability.expressions import OBSERVABILITY, RULES, annotations, panels
from tests.prometheus import needs_prometheus, running_prometheus
from tests.waiting import eventually

SECOND = "1s"
AT_ONCE = {"OrderNoApi", "OrderNoProcessor"}
"""Alerts that do not wait here. The others do: a test on a busy machine may have a slow moment."""

EMPTY = {"customer: Refused requests by limit"}
"""A panel about what does not happen while all is well: its metric has no series before it does."""


def configuration(stack: Stack, directory: Path) -> Path:
    """The project's own, for the stack's addresses, by the second."""
    targets = {
        "order-api": urlsplit(stack.api).netloc,
        "order-processor": urlsplit(stack.services[ORDER_PROCESSOR.name]).netloc,
        "order-notifier": urlsplit(stack.services[ORDER_NOTIFIER.name]).netloc,
    }
    config = yaml.safe_load((OBSERVABILITY / "prometheus" / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": SECOND, "evaluation_interval": SECOND}
    for job in config["scrape_configs"]:
        job["static_configs"] = [{"targets": [targets[job["job_name"]]]}]
    (directory / "rules").mkdir()
    for path in RULES.iterdir():
        content = yaml.safe_load(path.read_text())
        for rule in content["groups"][0]["rules"]:
            if rule.get("alert") in AT_ONCE:
                del rule["for"]
        (directory / "rules" / path.name).write_text(yaml.safe_dump(content))
    file = directory / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    return file


async def accept_a_day_ago(stack: Stack, shop: Shop) -> None:
    """An order that a day of sweeps has not completed: the next sweep parks it."""
    order = make_order(customer=Customer(tenant=shop.tenant, id="ada"), at=utc_now() - timedelta(hours=25))
    order = replace(order, schedule=replace(order.schedule, sweeps=1_000))
    async with open_adapters(stack.settings, Metrics(), deadline=10.0, credentials=stack.credentials) as adapters:
        await adapters.orders.add(order, make_record(order, uuid.uuid4().hex, at=utc_now()))


@needs_prometheus
async def test_a_stopped_processor_and_a_parked_order_are_told(tmp_path: Path) -> None:
    with running_infrastructure(tmp_path, QUICK) as stack:
        await asyncio.to_thread(stack.start_payments)
        await asyncio.to_thread(stack.start, ORDER_API)
        await asyncio.to_thread(stack.start, ORDER_PROCESSOR)
        await asyncio.to_thread(stack.start, ORDER_NOTIFIER)
        with running_prometheus(configuration(stack, tmp_path), tmp_path / "prometheus") as prometheus:
            await eventually(lambda: len(prometheus.query("up == 1")) == 3, "all services scraped")
            async with open_shop(stack) as shop:
                await shop.stock("TEA", 10)
                await shop.ended((await shop.post()).json()["id"])
                await eventually(lambda: not _faults(prometheus.rules()), "an evaluation of every rule")
                await eventually(lambda: prometheus.firing() == set(), "silence")

                await asyncio.to_thread(stack.children["order-processor"].stop)
                await eventually(
                    lambda: prometheus.firing() == {"OrderNoProcessor"}, "the alert of a stopped processor"
                )

                await accept_a_day_ago(stack, shop)
                await asyncio.to_thread(stack.start, ORDER_PROCESSOR)
                await eventually(
                    lambda: prometheus.firing() == {"OrderParked", "OrderOldestOpen"}, "the alert of a parked order"
                )
            assert _faults(prometheus.rules()) == {}
            for expr in annotations().values():
                prometheus.query(expr)
            silent = {place for place, exprs in panels().items() if not all(map(prometheus.query, exprs))}
            assert silent <= EMPTY


def _faults(rules: list[dict[str, Any]]) -> dict[str, str]:
    return {rule["name"]: rule["lastError"] for rule in rules if rule["health"] != "ok"}
