"""Smoke test of the green side, through the test listener, before it has any traffic.

The listener forwards what production exposes: `/v1`. Responses to authenticated requests name the release that served
them, so the test knows which colour it has reached.
"""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx2

from orderctl.deploy.checks import Check, Verdict

TIMEOUT = 10.0
SHOWN = 200
"""Characters of an answer that are shown."""

RELEASE = "Order-Release"
RELEASE_ATTEMPTS = 12
"""With five seconds between them a minute: a load balancer follows a changed rule within seconds."""

SKU = "SMOKE-TEST"
PRODUCT = {"name": "Smoke test", "unit_price": 1, "currency": "EUR"}
ORDER = {"lines": [{"sku": SKU, "quantity": 1}]}

ORDERS = "/v1/orders"
UNAUTHENTICATED = 401


@dataclass(frozen=True, kw_only=True)
class Smoke:
    """`token` is of a tenant that exists for this, with `products:write`, `orders:write` and `orders:read`; without one
    the test ends once the API has asked for it."""

    url: str
    release: str | None
    """Commit of the image that is deployed; None if the image names none."""
    poll_sleep: Callable[[], None]
    """Between two attempts to reach the release."""
    token: str | None = None
    may_be_unnamed: bool = False
    """Accept responses that name no release, as those of releases from before the header was there."""
    transport: httpx2.BaseTransport | None = None

    def run(self) -> list[Check]:
        """Stop at the first check that fails."""
        checks: list[Check] = []
        with httpx2.Client(base_url=self.url, timeout=TIMEOUT, transport=self.transport) as http:
            try:
                checks.extend(self._checks(http))
            except _Unexpected as answer:
                checks.append(Check(answer.what, Verdict.FAIL, answer.detail))
        return checks

    def _checks(self, http: httpx2.Client) -> Iterator[Check]:
        _ensure_requires_token(http)
        yield Check("reachable", Verdict.OK, f"{self.url} asks for a token")
        if self.token is None:
            yield Check("order", Verdict.SKIP, "no token for it: set ORDER_SMOKE_TOKEN")
            return
        http.headers["Authorization"] = f"Bearer {self.token}"
        yield self._release(http)
        # It has no stock: the order is accepted, and rejected by whoever processes it. Nothing is sold.
        self._ask(http, "product", "PUT", f"/v1/products/{SKU}", json=PRODUCT)
        key = {"Idempotency-Key": f"smoke-{uuid.uuid4()}"}
        first, again = (_id(self._ask(http, "order", "POST", ORDERS, json=ORDER, headers=key)) for _ in range(2))
        if first != again:
            raise _Unexpected("order", f"one key gave two orders, {first} and {again}")
        read = _id(self._ask(http, "order", "GET", f"{ORDERS}/{first}"))
        if read != first:
            raise _Unexpected("order", f"{first} was asked for, and {read} came")
        yield Check("order", Verdict.OK, f"{first}: placed, placed again as one, and read")

    def _release(self, http: httpx2.Client) -> Check:
        """Wait until the release that is deployed answers. Raise _Unexpected if another one goes on answering."""
        answer = _ask(http, "release", "GET", f"{ORDERS}?limit=1")
        for _ in range(RELEASE_ATTEMPTS - 1):
            if self._difference(answer) is None:
                break
            self.poll_sleep()
            answer = _ask(http, "release", "GET", f"{ORDERS}?limit=1")
        difference = self._difference(answer)
        if difference is not None:
            raise _Unexpected("release", difference)
        if self.release is None:
            return Check("release", Verdict.SKIP, "the image names no commit: any release may have answered")
        if RELEASE not in answer.headers:
            return Check("release", Verdict.SKIP, "what answers names no release, as it was before this header")
        return Check("release", Verdict.OK, self.release)

    def _ask(self, http: httpx2.Client, what: str, method: str, path: str, **request: Any) -> httpx2.Response:
        """Send a request as the smoke test's customer. Raise _Unexpected unless this release answers with success."""
        answer = _ask(http, what, method, path, **request)
        difference = self._difference(answer)
        if difference is not None:
            raise _Unexpected("release", f"{method} {path}: {difference}")
        return answer

    def _difference(self, answer: httpx2.Response) -> str | None:
        """In what way the answer is not of the release that is deployed; None if it is."""
        found = answer.headers.get(RELEASE)
        if self.release is None or found == self.release or (found is None and self.may_be_unnamed):
            return None
        named = f"release {found}" if found else f"a release that sends no {RELEASE}"
        return f"{named} answered instead of {self.release}"


class _Unexpected(Exception):
    def __init__(self, what: str, detail: str) -> None:
        super().__init__(what, detail)
        self.what = what
        self.detail = detail


def _ensure_requires_token(http: httpx2.Client) -> None:
    """Send a request without a token. Raise _Unexpected unless the API refuses it."""
    answer = _send(http, "reachable", "GET", ORDERS)
    if answer.status_code != UNAUTHENTICATED:
        difference = f"answers {answer.status_code} instead of asking for a token: {answer.text[:SHOWN]}"
        raise _Unexpected("reachable", f"GET {ORDERS} {difference}")


def _ask(http: httpx2.Client, what: str, method: str, path: str, **request: Any) -> httpx2.Response:
    """Send a request. Raise _Unexpected unless the response is a success."""
    answer = _send(http, what, method, path, **request)
    if not answer.is_success:
        raise _Unexpected(what, f"{method} {path} answers {answer.status_code}: {answer.text[:SHOWN]}")
    return answer


def _send(http: httpx2.Client, what: str, method: str, path: str, **request: Any) -> httpx2.Response:
    try:
        return http.request(method, path, **request)
    except httpx2.HTTPError as error:
        raise _Unexpected(what, f"{method} {path}: {error!r}") from None


def _id(order: httpx2.Response) -> str:
    """Return the id of the order in a response. Raise _Unexpected if it has none."""
    try:
        return str(order.json()["id"])
    except (ValueError, KeyError, TypeError):
        raise _Unexpected("order", f"{order.request.url} does not answer as the API does") from None
