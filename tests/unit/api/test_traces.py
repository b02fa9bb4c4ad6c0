"""Required and forbidden content of the trace of a request."""

from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan

from order_shared.domain.order.messages import parse_message
from order_shared.runtime.tracing import trace_id_of
from tests.traces import Traces
from tests.unit.api.conftest import Api, open_api
from tests.waiting import eventually


def said(span: ReadableSpan) -> Mapping[str, Any]:
    assert span.attributes is not None
    return span.attributes


async def test_a_request_span_has_the_order_but_not_the_caller() -> None:
    watched = Traces()
    async with open_api(tracing=watched.tracing) as api:
        await api.put_product("TEA", units=5)
        order = await api.post_order(
            {"lines": [{"sku": "TEA", "quantity": 1}], "reference": "a-reference", "payment_token": "pm_card_visa"},
            headers=api.headers(customer="grace@example.com"),
        )
        await eventually(lambda: bool(api.queue.messages))
    request = watched.spans["POST /v1/orders"]
    assert said(request)["order.id"] == order.json()["id"]
    assert said(request)["request.id"] == order.headers["X-Request-Id"]
    assert said(request)["tenant"] == "acme"
    text = request.to_json()
    assert [secret for secret in ("grace", "pm_card_visa", "a-reference", "key-1", "Bearer") if secret in text] == []
    (message,) = api.queue.messages
    assert request.context is not None
    assert trace_id_of(parse_message(message.message.body).traceparent) == f"{request.context.trace_id:032x}"


async def test_the_query_string_is_not_recorded() -> None:
    watched = Traces()
    async with open_api(tracing=watched.tracing) as api:
        await api.http.get("/v1/orders?q=my+illness&access_token=eyJ-a-secret", headers=api.headers())
    request = watched.spans["GET /v1/orders"]
    assert said(request)["url.query"] == "REDACTED"
    assert [secret for secret in ("illness", "a-secret") if secret in request.to_json()] == []


async def test_probes_have_no_trace() -> None:
    watched = Traces()
    async with open_api(tracing=watched.tracing) as api:
        await api.http.get("/readyz")
    assert watched.spans == {}


async def test_without_traces_a_cancellation_carries_the_one_its_request_names(api: Api) -> None:
    """The log lines of both services must contain the same trace id, as for a placed order."""
    await api.put_product("TEA", units=5)
    placing = {**api.headers(), "traceparent": f"00-{'a' * 32}-00f067aa0ba902b7-01"}
    order_id = (await api.post_order({"lines": [{"sku": "TEA", "quantity": 1}]}, headers=placing)).json()["id"]
    (order,) = api.store.orders.values()
    await api.orders.move(order, order.confirm(order.created_at))
    cancelling = {**api.headers(), "traceparent": f"00-{'b' * 32}-00f067aa0ba902b7-01"}
    await api.http.post(f"/v1/orders/{order_id}/cancel", headers=cancelling)
    await eventually(lambda: len(api.queue.messages) == 2)
    said = [parse_message(each.message.body).traceparent for each in api.queue.messages]
    assert said == [placing["traceparent"], cancelling["traceparent"]]
