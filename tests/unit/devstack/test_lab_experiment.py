"""An experiment of the Lab goes on after a kill: its journal has every wanted order and every answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from devstack.issuer import Issuer
from devstack.lab.experiment import Experiment
from devstack.lab.history import Outcome, Verb
from devstack.lab.journal import Journal, KeptHistory
from devstack.lab.shoppers import Shop
from tests.waiting import eventually


@dataclass
class Api:
    """API that accepts each idempotency key once, and fails `failures` times before."""

    failures: int = 0
    is_open: bool = True
    orders: dict[str, str] = field(default_factory=dict)

    async def place(self, request: web.Request) -> web.Response:
        if not self.is_open or self.failures > 0:
            self.failures -= 1
            return web.json_response({}, status=503)
        key = request.headers["Idempotency-Key"]
        return web.json_response({"id": self.orders.setdefault(key, f"ord_{len(self.orders)}")}, status=202)

    async def set_up(self, _: web.Request) -> web.Response:
        return web.json_response({})


@dataclass
class Ground:
    api: Api
    journal: Journal
    address: str
    http: aiohttp.ClientSession
    issuer: Issuer

    @asynccontextmanager
    async def experiment(self) -> AsyncIterator[Experiment]:
        """Open the experiment in the journal, and drop it as a kill does."""
        experiment = Experiment.opened(self.journal, self._shop)
        try:
            yield experiment
        finally:
            await experiment.stop()

    def _shop(self, tenant: str) -> Shop:
        return Shop(tenant, self.issuer, self.http, lambda: [self.address])


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    api, app = Api(), web.Application()
    app.add_routes(
        [
            web.post("/v1/orders", api.place),
            web.put("/v1/products/{sku}", api.set_up),
            web.post("/v1/products/{sku}/stock", api.set_up),
        ]
    )
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        issuer = Issuer.at(tmp_path / "issuer.pem")
        yield Ground(api, Journal(tmp_path / "lab.jsonl"), str(server.make_url("")).rstrip("/"), http, issuer)


async def test_every_customer_asks_until_there_is_an_answer(ground: Ground) -> None:
    ground.api.failures = 5
    async with ground.experiment() as experiment:
        experiment.place(20)
        assert experiment.is_placing
        await eventually(lambda: not experiment.is_placing, "all answers")
        assert experiment.accepted == set(ground.api.orders.values())
        assert experiment.history.count(Verb.PLACE, Outcome.UNKNOWN) == 5
        paid = [each for each in experiment.history.purchases.values() if each.is_paid]
    assert (len(ground.api.orders), len(paid)) == (20, 8)


async def test_after_a_kill_the_unanswered_customers_ask_again(ground: Ground) -> None:
    async with ground.experiment() as experiment:
        experiment.place(3)
        await eventually(lambda: not experiment.is_placing, "the first answers")
        ground.api.is_open = False
        experiment.place(4)
        tenant = experiment.tenant
    ground.api.is_open = True
    async with ground.experiment() as experiment:
        assert experiment.tenant == tenant
        assert len(experiment.accepted) == 3
        assert len(experiment.history.purchases) == 7
        await eventually(lambda: not experiment.is_placing, "the other answers")
        assert experiment.accepted == set(ground.api.orders.values())
    assert len(ground.api.orders) == 7


async def test_a_new_experiment_has_another_tenant_and_no_customers(ground: Ground) -> None:
    async with ground.experiment() as experiment:
        experiment.place(1)
        await eventually(lambda: not experiment.is_placing, "the answer")
        tenant = experiment.tenant
    new = Experiment.new(ground.journal, ground._shop)
    assert new.tenant != tenant
    async with ground.experiment() as experiment:
        assert (experiment.tenant, experiment.accepted) == (new.tenant, set())


def test_part_of_a_last_line_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "lab.jsonl"
    whole = (
        '{"tenant": "lab-1", "started_at": "2026-12-01T00:00:00+00:00"}\n'
        '{"customer": "c0", "quantities": {"TEA": 1}, "token": null}\n'
    )
    path.write_text(whole + '{"told": "c0", "outc')
    found = KeptHistory.read(Journal(path))
    assert found is not None
    history, tenant, _ = found
    assert tenant == "lab-1"
    assert [purchase.customer for purchase in history.unanswered] == ["c0"]
