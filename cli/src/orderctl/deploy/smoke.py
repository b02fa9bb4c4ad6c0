"""Does the green side serve? Asked through the test listener, before it has any traffic."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from orderctl.deploy.checks import Check, Verdict

TIMEOUT = 10.0
SHOWN = 200
"""Characters of an answer that are shown."""

SKU = "SMOKE-TEST"
PRODUCT = {"name": "Smoke test", "unit_price": 1, "currency": "EUR"}
ORDER = {"lines": [{"sku": SKU, "quantity": 1}]}


@dataclass(frozen=True, kw_only=True)
class Smoke:
    """`token` is of a tenant that exists for this, with `products:write`, `orders:write` and `orders:read`; without one
    the test ends at readiness."""

    url: str
    token: str | None = None
    transport: httpx.BaseTransport | None = None

    def run(self) -> list[Check]:
        """Stops at the first thing that does not hold."""
        checks: list[Check] = []
        with httpx.Client(base_url=self.url, timeout=TIMEOUT, transport=self.transport) as http:
            try:
                checks.extend(self._checks(http))
            except _Unexpected as answer:
                checks.append(Check(answer.what, Verdict.NG, answer.detail))
        return checks

    def _checks(self, http: httpx.Client) -> Iterator[Check]:
        _ask(http, "ready", "GET", "/readyz")
        yield Check("ready", Verdict.OK, self.url)
        if self.token is None:
            yield Check("order", Verdict.SKIP, "no token for it: set ORDER_SMOKE_TOKEN")
            return
        http.headers["Authorization"] = f"Bearer {self.token}"
        # It has no stock: the order is accepted, and rejected by whoever processes it. Nothing is sold.
        _ask(http, "product", "PUT", f"/v1/products/{SKU}", json=PRODUCT)
        key = {"Idempotency-Key": f"smoke-{uuid.uuid4()}"}
        first, again = (_id(_ask(http, "order", "POST", "/v1/orders", json=ORDER, headers=key)) for _ in range(2))
        if first != again:
            raise _Unexpected("order", f"one key gave two orders, {first} and {again}")
        read = _id(_ask(http, "order", "GET", f"/v1/orders/{first}"))
        if read != first:
            raise _Unexpected("order", f"{first} was asked for, and {read} came")
        yield Check("order", Verdict.OK, f"{first}: placed, placed again as one, and read")


class _Unexpected(Exception):
    def __init__(self, what: str, detail: str) -> None:
        super().__init__(what, detail)
        self.what = what
        self.detail = detail


def _ask(http: httpx.Client, what: str, method: str, path: str, **request: Any) -> httpx.Response:
    """Raises _Unexpected if it is not answered, or not well."""
    try:
        answer = http.request(method, path, **request)
    except httpx.HTTPError as error:
        raise _Unexpected(what, f"{method} {path}: {error!r}") from None
    if not answer.is_success:
        raise _Unexpected(what, f"{method} {path} answers {answer.status_code}: {answer.text[:SHOWN]}")
    return answer


def _id(order: httpx.Response) -> str:
    """Raises _Unexpected if it is no order."""
    try:
        return str(order.json()["id"])
    except (ValueError, KeyError, TypeError):
        raise _Unexpected("order", f"{order.request.url} does not answer as the API does") from None
