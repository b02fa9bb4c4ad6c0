"""Smoke test of the green fleet, sent through the test listener before green receives production traffic.

The test listener forwards the same paths as the production listener: `/v1/*` and `/pages/*`. Each response to an
authenticated request names the release that served it, so the test can verify that green responded.
"""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx2

from aws_json_client.proxies import proxy_for
from order_operations.deployments.checks import Check, Verdict

TIMEOUT = 10.0
SHOWN = 200
"""Maximum length of a response body in a message, in characters."""

RELEASE = "Order-Release"
ATTEMPTS = 12
"""One minute, with five seconds between attempts."""

SKU = "SMOKE-TEST"
PRODUCT = {"name": "Smoke test", "unit_price": 1, "currency": "EUR"}
ORDER = {"lines": [{"sku": SKU, "quantity": 1}]}

ORDERS = "/v1/orders"
UNAUTHENTICATED = 401


@dataclass(frozen=True, kw_only=True)
class Smoke:
    """Smoke test of one deployment.

    `token` belongs to a tenant for smoke tests and has the scopes `products:write`, `orders:write` and `orders:read`.
    Without a token, the test only checks that the API requires one.
    """

    url: str
    release: str | None
    """Commit of the deployed image; None if the image names no commit."""
    poll_sleep: Callable[[], None]
    """Sleep between two attempts."""
    token: str | None = None
    may_be_unnamed: bool = False
    """Accept responses without the header `Order-Release`, which older releases do not send."""
    transport: httpx2.BaseTransport | None = None

    def run(self) -> list[Check]:
        """Run the checks up to the first that fails. Repeat them for a minute while one fails.

        A failed request may be one of the load balancer, which applies a changed rule within seconds, or of a task that
        warms up: a single failure is no evidence against the release.
        """
        checks, is_final = self._run_once()
        for _ in range(ATTEMPTS - 1):
            if is_final:
                break
            self.poll_sleep()
            checks, is_final = self._run_once()
        return checks

    def _run_once(self) -> tuple[list[Check], bool]:
        """Return the checks, and whether the result is final."""
        checks: list[Check] = []
        transport = self.transport or httpx2.HTTPTransport(proxy=proxy_for(self.url))
        with httpx2.Client(base_url=self.url, timeout=TIMEOUT, transport=transport) as http:
            try:
                checks.extend(self._checks(http))
            except _Unexpected as answer:
                checks.append(Check(answer.what, Verdict.FAIL, answer.detail))
                return checks, answer.is_final
        return checks, True

    def _checks(self, http: httpx2.Client) -> Iterator[Check]:
        _ensure_requires_token(http)
        yield Check("reachable", Verdict.OK, f"{self.url} requires a token")
        if self.token is None:
            yield Check("order", Verdict.SKIP, "no token is set: ORDER_SMOKE_TOKEN")
            return
        http.headers["Authorization"] = f"Bearer {self.token}"
        yield self._release(http)
        # The product has no stock: the order is accepted, then rejected by the processor. Nothing is sold.
        self._ask(http, "product", "PUT", f"/v1/products/{SKU}", json=PRODUCT)
        key = {"Idempotency-Key": f"smoke-{uuid.uuid4()}"}
        first, again = (_id(self._ask(http, "order", "POST", ORDERS, json=ORDER, headers=key)) for _ in range(2))
        if first != again:
            raise _Unexpected("order", f"one idempotency key created two orders, {first} and {again}", is_final=True)
        read = _id(self._ask(http, "order", "GET", f"{ORDERS}/{first}"))
        if read != first:
            raise _Unexpected("order", f"GET {ORDERS}/{first} returned {read}", is_final=True)
        yield Check("order", Verdict.OK, f"{first}: placed, replayed and read")

    def _release(self, http: httpx2.Client) -> Check:
        """Check that the deployed release responds. Raises _Unexpected if another release still responds."""
        answer = _ask(http, "release", "GET", f"{ORDERS}?limit=1")
        difference = self._difference(answer)
        if difference is not None:
            raise _Unexpected("release", difference)
        if self.release is None:
            return Check("release", Verdict.SKIP, "the image names no commit: any release may have responded")
        if RELEASE not in answer.headers:
            return Check("release", Verdict.SKIP, f"the response names no release: it is older than {RELEASE}")
        return Check("release", Verdict.OK, self.release)

    def _ask(self, http: httpx2.Client, what: str, method: str, path: str, **request: Any) -> httpx2.Response:
        """Send a request as the smoke test's customer. Raises _Unexpected unless this release responds with success."""
        answer = _ask(http, what, method, path, **request)
        difference = self._difference(answer)
        if difference is not None:
            raise _Unexpected("release", f"{method} {path}: {difference}")
        return answer

    def _difference(self, answer: httpx2.Response) -> str | None:
        """Return the mismatch between the response's release and the deployed one; None if there is none."""
        found = answer.headers.get(RELEASE)
        if self.release is None or found == self.release or (found is None and self.may_be_unnamed):
            return None
        named = f"release {found}" if found else f"a release that sends no {RELEASE}"
        return f"{named} responded instead of {self.release}"


class _Unexpected(Exception):
    def __init__(self, what: str, detail: str, *, is_final: bool = False) -> None:
        super().__init__(what, detail)
        self.what = what
        self.detail = detail
        self.is_final = is_final
        """The release itself gave a wrong answer."""


def _ensure_requires_token(http: httpx2.Client) -> None:
    """Send a request without a token. Raises _Unexpected unless the API refuses it."""
    answer = _send(http, "reachable", "GET", ORDERS)
    if answer.status_code != UNAUTHENTICATED:
        difference = f"returned {answer.status_code} instead of {UNAUTHENTICATED}: {answer.text[:SHOWN]}"
        raise _Unexpected("reachable", f"GET {ORDERS} without a token {difference}")


def _ask(http: httpx2.Client, what: str, method: str, path: str, **request: Any) -> httpx2.Response:
    """Send a request. Raises _Unexpected unless the response is a success."""
    answer = _send(http, what, method, path, **request)
    if not answer.is_success:
        raise _Unexpected(what, f"{method} {path} returned {answer.status_code}: {answer.text[:SHOWN]}")
    return answer


def _send(http: httpx2.Client, what: str, method: str, path: str, **request: Any) -> httpx2.Response:
    try:
        return http.request(method, path, **request)
    except httpx2.HTTPError as error:
        raise _Unexpected(what, f"{method} {path}: {error!r}") from None


def _id(order: httpx2.Response) -> str:
    """Return the order id from a response. Raises _Unexpected if the response has no order id."""
    try:
        return str(order.json()["id"])
    except (ValueError, KeyError, TypeError):
        raise _Unexpected("order", f"{order.request.url} returned no order", is_final=True) from None
