"""The test of the green side: what it asks, and what it takes for a failure."""

import json
import re

import httpx2
import pytest

from order_operations.deployments.checks import Check, Verdict, passed
from orderctl.deploy.smoke import ATTEMPTS, ORDERS, RELEASE, Smoke

TOKEN = "of-a-test-tenant"
GREEN, BLUE = "5d6e7f8", "1a2b3c4"
EVERY_PATH = [
    "GET /v1/orders",
    "GET /v1/orders?limit=1",
    "PUT /v1/products/SMOKE-TEST",
    "POST /v1/orders",
    "POST /v1/orders",
    "GET /v1/orders/ord_0",
]


ORDER = re.compile(r"/v1/orders/ord_\d+")
"""Each attempt places another order."""


class Api:
    """As the green side answers. `says` replaces the answer to a method and path for whoever has a token."""

    def __init__(self, release: str | None = GREEN) -> None:
        self.asked: list[httpx2.Request] = []
        self.says: dict[tuple[str, str], httpx2.Response] = {}
        self.orders: dict[str, str] = {}
        self.release = release
        self.pauses = 0

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        if "Authorization" not in request.headers:
            return self.says.get(("GET", "without a token"), httpx2.Response(401))
        path = ORDER.sub("/v1/orders/ord_0", request.url.raw_path.decode())
        answer = self.says.get((request.method, path)) or self._answer(request)
        if self.release is not None:
            answer.headers[RELEASE] = self.release
        return answer

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST":
            key = request.headers["Idempotency-Key"]
            return httpx2.Response(202, json={"id": self.orders.setdefault(key, f"ord_{len(self.orders)}")})
        return httpx2.Response(200, json={"id": request.url.path.rpartition("/")[2]})

    def poll_sleep(self) -> None:
        self.pauses += 1

    def test(
        self, *, is_known: bool = True, release: str | None = GREEN, may_be_unnamed: bool = False
    ) -> dict[str, Check]:
        smoke = Smoke(
            url="https://green",
            token=TOKEN if is_known else None,
            release=release,
            may_be_unnamed=may_be_unnamed,
            poll_sleep=self.poll_sleep,
            transport=httpx2.MockTransport(self),
        )
        return {check.name: check for check in smoke.run()}

    @property
    def paths(self) -> list[str]:
        return [f"{each.method} {each.url.raw_path.decode()}" for each in self.asked]


def test_a_good_one_asks_for_a_token_names_its_release_and_places_one_order() -> None:
    api = Api()
    checks = api.test()
    assert {name: check.verdict for name, check in checks.items()} == dict.fromkeys(
        ("reachable", "release", "order"), Verdict.OK
    )
    assert checks["release"].detail == GREEN
    assert api.paths == EVERY_PATH
    assert [each.headers.get("Authorization") for each in api.asked] == [None, *[f"Bearer {TOKEN}"] * 5]
    assert json.loads(api.asked[3].content) == json.loads(api.asked[4].content)


def test_it_asks_for_nothing_that_production_does_not_expose() -> None:
    api = Api()
    api.test()
    assert {each.url.path.split("/")[1] for each in api.asked} == {"v1"}


def test_without_a_token_it_ends_once_the_api_has_asked_for_one() -> None:
    api = Api()
    assert api.test(is_known=False)["order"].verdict is Verdict.SKIP
    assert api.paths == ["GET /v1/orders"]


def test_another_release_that_goes_on_answering_fails() -> None:
    api = Api(BLUE)
    failed = api.test()["release"]
    assert (failed.verdict, failed.detail) == (Verdict.FAIL, f"release {BLUE} responded instead of {GREEN}")
    assert api.pauses == ATTEMPTS - 1
    assert {each.method for each in api.asked} == {"GET"}, "an order was placed with another release"


def test_a_listener_that_still_sends_to_blue_is_given_time() -> None:
    class Late(Api):
        def poll_sleep(self) -> None:
            super().poll_sleep()
            self.release = GREEN if self.pauses == 3 else BLUE

    api = Late(BLUE)
    assert passed(list(api.test().values()))
    assert api.pauses == 3


def test_another_release_in_between_fails() -> None:
    class Shared(Api):
        def __call__(self, request: httpx2.Request) -> httpx2.Response:
            self.release = BLUE if request.method == "PUT" else GREEN
            return super().__call__(request)

    assert f"PUT /v1/products/SMOKE-TEST: release {BLUE} responded" in Shared().test()["release"].detail


def test_a_release_from_before_the_header_passes_on_the_way_back_only() -> None:
    failed = Api(None).test()["release"]
    assert (failed.verdict, "sends no Order-Release" in failed.detail) == (Verdict.FAIL, True)
    checks = Api(None).test(may_be_unnamed=True)
    assert (checks["release"].verdict, checks["order"].verdict) == (Verdict.SKIP, Verdict.OK)
    assert Api(BLUE).test(may_be_unnamed=True)["release"].verdict is Verdict.FAIL


def test_an_image_that_names_no_commit_is_tested_all_the_same() -> None:
    checks = Api(BLUE).test(release=None)
    assert (checks["release"].verdict, checks["order"].verdict) == (Verdict.SKIP, Verdict.OK)


@pytest.mark.parametrize(
    ("method", "path", "answer", "told"),
    [
        ("GET", "without a token", httpx2.Response(404), f"GET {ORDERS} without a token returned 404 instead of 401: "),
        ("GET", "without a token", httpx2.Response(200), f"GET {ORDERS} without a token returned 200 instead of 401: "),
        (
            "GET",
            "without a token",
            httpx2.Response(503, text="no table"),
            "503 instead of 401: no table",
        ),
        ("GET", "/v1/orders?limit=1", httpx2.Response(503, text="no table"), "limit=1 returned 503: no table"),
        ("PUT", "/v1/products/SMOKE-TEST", httpx2.Response(401), "returned 401: "),
        ("POST", "/v1/orders", httpx2.Response(500, text="x" * 1000), "POST /v1/orders returned 500: " + "x" * 200),
        ("GET", "/v1/orders/ord_0", httpx2.Response(404), "returned 404: "),
        ("GET", "/v1/orders/ord_0", httpx2.Response(200, json={"id": "ord_9"}), "GET /v1/orders/ord_0 returned ord_9"),
        ("POST", "/v1/orders", httpx2.Response(202, text="<html>"), "returned no order"),
        ("GET", "/v1/orders/ord_0", httpx2.Response(200, json={}), "returned no order"),
    ],
)
def test_the_first_wrong_answer_ends_it(method: str, path: str, answer: httpx2.Response, told: str) -> None:
    api = Api()
    api.says[method, path] = answer
    (failed,) = (check for check in api.test().values() if check.verdict is Verdict.FAIL)
    assert failed.detail.endswith(told) or told in failed.detail
    assert len(failed.detail) < 400


def test_one_key_must_give_one_order() -> None:
    class Forgetful(Api):
        def _answer(self, request: httpx2.Request) -> httpx2.Response:
            self.orders.clear() if len(self.asked) % 2 else self.orders.setdefault("other", "ord_other")
            return super()._answer(request)

    assert "one idempotency key created two orders" in Forgetful().test()["order"].detail


def test_what_does_not_answer_at_all_fails() -> None:
    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused", request=request)

    smoke = Smoke(url="https://green", release=GREEN, poll_sleep=lambda: None, transport=httpx2.MockTransport(refuse))
    (check,) = smoke.run()
    assert (check.name, check.verdict) == ("reachable", Verdict.FAIL)
