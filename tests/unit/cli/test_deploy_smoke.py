"""The test of the green side: what it asks, and what it takes for a failure."""

import json

import httpx
import pytest

from orderctl.deploy.checks import Check, Verdict, passed
from orderctl.deploy.smoke import Smoke

TOKEN = "of-a-test-tenant"


class Api:
    """As the green side answers. `says` replaces the answer to a method and path."""

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []
        self.says: dict[tuple[str, str], httpx.Response] = {}
        self.orders: dict[str, str] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        said = self.says.get((request.method, request.url.path))
        if said is not None:
            return said
        if request.method == "POST":
            key = request.headers["Idempotency-Key"]
            return httpx.Response(202, json={"id": self.orders.setdefault(key, f"ord_{len(self.orders)}")})
        return httpx.Response(200, json={"id": request.url.path.rpartition("/")[2]})

    def test(self, *, is_known: bool = True) -> dict[str, Check]:
        token = TOKEN if is_known else None
        checks = Smoke(url="https://green", token=token, transport=httpx.MockTransport(self)).run()
        return {check.name: check for check in checks}


def test_a_good_one_is_ready_and_places_one_order() -> None:
    api = Api()
    assert passed(list(api.test().values()))
    assert [f"{each.method} {each.url.path}" for each in api.asked] == [
        "GET /readyz",
        "PUT /v1/products/SMOKE-TEST",
        "POST /v1/orders",
        "POST /v1/orders",
        "GET /v1/orders/ord_0",
    ]
    assert {each.headers.get("Authorization") for each in api.asked[1:]} == {f"Bearer {TOKEN}"}
    assert json.loads(api.asked[2].content) == json.loads(api.asked[3].content)


def test_without_a_token_it_ends_at_readiness() -> None:
    api = Api()
    assert api.test(is_known=False)["order"].verdict is Verdict.SKIP
    assert [each.url.path for each in api.asked] == ["/readyz"]


@pytest.mark.parametrize(
    ("method", "path", "answer", "told"),
    [
        ("GET", "/readyz", httpx.Response(503, text="no table"), "GET /readyz answers 503: no table"),
        ("PUT", "/v1/products/SMOKE-TEST", httpx.Response(401), "answers 401"),
        ("POST", "/v1/orders", httpx.Response(500, text="x" * 1000), "POST /v1/orders answers 500: " + "x" * 200),
        ("GET", "/v1/orders/ord_0", httpx.Response(404), "answers 404"),
        ("GET", "/v1/orders/ord_0", httpx.Response(200, json={"id": "ord_9"}), "ord_0 was asked for, and ord_9 came"),
        ("POST", "/v1/orders", httpx.Response(202, text="<html>"), "does not answer as the API does"),
        ("GET", "/v1/orders/ord_0", httpx.Response(200, json={}), "does not answer as the API does"),
    ],
)
def test_the_first_wrong_answer_ends_it(method: str, path: str, answer: httpx.Response, told: str) -> None:
    api = Api()
    api.says[method, path] = answer
    (failed,) = (check for check in api.test().values() if check.verdict is Verdict.NG)
    assert failed.detail.endswith(told) or told in failed.detail
    assert len(failed.detail) < 400


def test_one_key_must_give_one_order() -> None:
    ids = iter(range(9))
    api = Api()

    def forgetful(request: httpx.Request) -> httpx.Response:
        return httpx.Response(202, json={"id": f"ord_{next(ids)}"}) if request.method == "POST" else api(request)

    checks = Smoke(url="https://green", token="token", transport=httpx.MockTransport(forgetful)).run()
    assert "one key gave two orders" in checks[-1].detail


def test_what_does_not_answer_at_all_fails() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    (check,) = Smoke(url="https://green", transport=httpx.MockTransport(refuse)).run()
    assert (check.name, check.verdict) == ("ready", Verdict.NG)
