"""Payments of the sandbox survive a kill of its process: each answer is written before it is given."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from devstack.payments.api import make_app
from devstack.payments.bank import Bank, Token
from devstack.payments.books import FileBooks
from devstack.payments.options import API_KEY

Json = dict[str, Any]


class Sandbox:
    def __init__(self, http: TestClient[Any, Any]) -> None:
        self._http = http

    async def post(self, path: str, form: dict[str, str], key: str | None = None) -> tuple[int, Json, bool]:
        """Return the status and the body of the response, and whether it is a saved one."""
        headers = {"Authorization": f"Bearer {API_KEY}"} | ({"Idempotency-Key": key} if key else {})
        async with self._http.post(path, data=form, headers=headers) as response:
            return response.status, await response.json(), "Idempotent-Replayed" in response.headers

    async def rows(self) -> list[Json]:
        async with self._http.get("/_sandbox/intents") as response:
            rows: list[Json] = await response.json()
        return rows


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Sandbox]:
    """Open a sandbox over the file. Nothing is written at its end, as after a kill."""
    async with TestClient(TestServer(make_app(Bank(), FileBooks(path)))) as http:
        yield Sandbox(http)


CREATE = {"amount": "890", "currency": "eur", "metadata[order_id]": "ord_1"}


async def test_payments_refunds_and_saved_answers_survive(tmp_path: Path) -> None:
    path = tmp_path / "payments.sqlite"
    async with opened(path) as sandbox:
        _, intent, _ = await sandbox.post("/v1/payment_intents", CREATE, "create")
        confirm = f"/v1/payment_intents/{intent['id']}/confirm"
        await sandbox.post(confirm, {"payment_method": Token.WORKS}, "confirm")
        _, other, _ = await sandbox.post("/v1/payment_intents", CREATE)
        status, declined, _ = await sandbox.post(
            f"/v1/payment_intents/{other['id']}/confirm", {"payment_method": Token.DECLINED}, "declined"
        )
        assert status == 402
        before = await sandbox.rows()
    async with opened(path) as sandbox:
        assert await sandbox.rows() == before
        assert [row["amount_received"] for row in before] == [890, 0]
        assert await sandbox.post("/v1/payment_intents", CREATE, "create") == (200, intent, True)
        again = f"/v1/payment_intents/{other['id']}/confirm"
        answer = await sandbox.post(again, {"payment_method": Token.DECLINED}, "declined")
        assert answer == (402, declined, True)
        await sandbox.post("/v1/refunds", {"payment_intent": intent["id"]}, "refund")
    async with opened(path) as sandbox:
        assert [row["amount_refunded"] for row in await sandbox.rows()] == [890, 0]
        status, _, _ = await sandbox.post("/v1/refunds", {"payment_intent": intent["id"]}, "another refund")
        assert status == 400


async def test_a_failure_that_is_not_saved_is_no_obstacle_to_the_next_attempt(tmp_path: Path) -> None:
    path = tmp_path / "payments.sqlite"
    async with opened(path) as sandbox:
        _, intent, _ = await sandbox.post("/v1/payment_intents", CREATE, "create")
        confirm = f"/v1/payment_intents/{intent['id']}/confirm"
        status, _, _ = await sandbox.post(confirm, {"payment_method": Token.FAILS_ONCE}, "confirm")
        assert status == 500
    async with opened(path) as sandbox:
        status, paid, is_replayed = await sandbox.post(confirm, {"payment_method": Token.FAILS_ONCE}, "confirm")
        assert (status, paid["status"], is_replayed) == (200, "succeeded", False)
