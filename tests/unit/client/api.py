"""Fake API with responses set by tests, and a fake clock that only sleeps advance."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2

from order_client import OrderClient, RetryPolicy
from order_client.calls import Token
from order_client.retries import Time

Answer = httpx2.Response | Exception
TOKEN = "token"


@dataclass
class FakeTime:
    """Fake time in seconds. `sleep` and `hold` advance it immediately. Jitter returns its upper bound."""

    now: float = 0.0
    sleeps: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds

    def as_time(self) -> Time:
        return Time(clock=lambda: self.now, sleep=self.sleep, jitter=lambda _, most: most)


@dataclass
class FakeApi:
    """Fake API that places one order per idempotency key.

    The responses `instead` are returned first, in order. The first `lost` responses are lost after the request was
    executed. `before_look` may change an order before it is read.
    """

    time: FakeTime = field(default_factory=FakeTime)
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    requests: list[httpx2.Request] = field(default_factory=list)
    instead: list[Answer] = field(default_factory=list)
    lost: int = 0
    before_look: Callable[[dict[str, Any], int], None] = lambda _order, _look: None
    looks: int = 0

    def client(self, policy: RetryPolicy | None = None, token: Token = TOKEN) -> OrderClient:
        return OrderClient("http://api", token, retries=policy, transport=self.transport(), time=self.time.as_time())

    def transport(self) -> httpx2.AsyncBaseTransport:
        return httpx2.MockTransport(self._answer)

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        if self.instead:
            answer = self.instead.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        response = self._carry_out(request)
        if self.lost:
            self.lost -= 1
            raise httpx2.ReadError("connection reset")
        return response

    def _carry_out(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST" and request.url.path == "/v1/orders":
            return self._place(request)
        order = self.orders.get(request.url.path.split("/")[3])
        if order is None:
            return problem(404, "order_not_found")
        if request.url.path.endswith("/cancel"):
            return self._cancel(order, request)
        self.looks += 1
        self.before_look(order, self.looks)
        if request.headers.get("If-None-Match") == f'"{order["version"]}"':
            return httpx2.Response(304)
        return httpx2.Response(200, json=order)

    def _place(self, request: httpx2.Request) -> httpx2.Response:
        key = request.headers["Idempotency-Key"]
        replayed = {"Idempotent-Replayed": "true"} if key in self.keys else {}
        order_id = self.keys.setdefault(key, f"ord_{len(self.orders)}")
        order = self.orders.setdefault(order_id, order_body(order_id, json.loads(request.content)))
        order["placed_by"] = "backend" if "Order-Customer" in request.headers else None
        return httpx2.Response(202, json=order, headers=replayed)

    def _cancel(self, order: dict[str, Any], request: httpx2.Request) -> httpx2.Response:
        if request.headers.get("If-Match", f'"{order["version"]}"') != f'"{order["version"]}"':
            return problem(412, "version_mismatch", current_version=order["version"])
        if order["status"] != "cancelled":
            become(order, "cancelled")
        return httpx2.Response(202, json=order)


def order_body(order_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
    at = "2026-01-31T09:05:00.000120Z"
    return {
        "__typename": "Order",
        "id": order_id,
        "status": "pending",
        "version": 1,
        "created_at": at,
        "updated_at": at,
        "reference": wanted.get("reference"),
        "metadata": wanted.get("metadata", {}),
        "lines": [
            {"__typename": "OrderLine", **line, "name": line["sku"], "unit_price": 5, "amount": 5 * line["quantity"]}
            for line in wanted["lines"]
        ],
        "currency": "EUR",
        "total": sum(5 * line["quantity"] for line in wanted["lines"]),
        "payment": {"status": "pending", "captured": 0, "refunded": 0, "history": []}
        if "payment_token" in wanted
        else None,
        "reason": None,
        "timeline": [{"status": "pending", "at": at}],
        "a_newer_field": 1,
    }


def become(order: dict[str, Any], status: str) -> None:
    order["status"] = status
    order["version"] += 1
    order["timeline"].append({"status": status, "at": order["updated_at"]})


def problem(status: int, code: str, *, headers: dict[str, str] | None = None, **fields: Any) -> httpx2.Response:
    body = {"code": code, "detail": "as it is", "request_id": "r-1", "retryable": False, **fields}
    return httpx2.Response(status, json=body, headers={"Content-Type": "application/problem+json", **(headers or {})})
