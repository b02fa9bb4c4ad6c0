"""Orders over HTTP: place, repeat, cancel, read."""

import asyncio
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

import httpx2
import pytest

from order_shared.domain.clock import to_text
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.idempotency import IdempotencyRecord, RecordTaken
from order_shared.domain.order.exceptions import OrderInstantTaken
from order_shared.domain.order.messages import CancellationRequested, parse_message
from order_shared.domain.order.models import Customer, Order, Reason, ReasonCode
from order_shared.domain.order.payments import Undo, UndoKind
from tests.factories import make_order, make_record
from tests.fakes import MemoryOrderRepository
from tests.unit.api.conftest import Api, open_api, problem_of
from tests.waiting import eventually

BODY = {"lines": [{"sku": "TEA", "quantity": 2}], "reference": "PO-7"}


class TestPlace:
    async def test_an_accepted_order_is_answered_whole(self, api: Api) -> None:
        await api.put_product("TEA", name="Green tea", unit_price=590)
        response = await api.post_order(BODY)
        order = response.json()
        assert response.status_code == 202
        assert response.headers["Location"] == f"/v1/orders/{order['id']}"
        assert response.headers["ETag"] == '"1"'
        assert "Idempotent-Replayed" not in response.headers
        line = {
            "__typename": "OrderLine",
            "sku": "TEA",
            "name": "Green tea",
            "quantity": 2,
            "unit_price": 590,
            "amount": 1180,
        }
        assert order == {
            "__typename": "Order",
            "id": order["id"],
            "status": "pending",
            "version": 1,
            "created_at": order["created_at"],
            "updated_at": order["created_at"],
            "reference": "PO-7",
            "placed_by": None,
            "metadata": {},
            "lines": [line],
            "currency": "EUR",
            "total": 1180,
            "payment": None,
            "reason": None,
            "cancel_requested_at": None,
            "timeline": [{"status": "pending", "at": order["created_at"]}],
        }
        assert len(order["created_at"]) == len("2026-01-31T09:05:00.000120Z")

    async def test_the_order_is_stored_for_the_customer_of_the_token(self, api: Api) -> None:
        await api.put_product("TEA")
        order_id = (await api.post_order(BODY)).json()["id"]
        assert (await api.orders.get(Customer(tenant="acme", id="ada"), order_id)).order_id == order_id

    async def test_a_backend_places_orders_for_customers_of_its_tenant(self, api: Api) -> None:
        """The subject that placed the order is stored and shown; the key is the customer's, whoever sends it."""
        await api.put_product("TEA")
        scope = "orders:write orders:read orders:act"
        acting = api.headers("acme", "shop/backend", scope) | {"Order-Customer": "user+tag@example.com"}
        order = (await api.post_order(BODY, headers=acting)).json()
        assert order["placed_by"] == "shop/backend"
        stored = await api.orders.get(Customer(tenant="acme", id="user+tag@example.com"), order["id"])
        assert stored.placed_by == "shop/backend"
        again = await api.post_order(BODY, headers=api.headers(customer="user+tag@example.com"))
        assert (again.json()["id"], again.headers["Idempotent-Replayed"]) == (order["id"], "true")
        await eventually(lambda: len(api.queue.messages) == 1)
        event = parse_message(api.queue.messages[0].message.body)
        assert (event.data.customer, event.customer) == ("user%2Btag@example.com", stored.customer)

    async def test_work_is_offered_with_the_trace_of_the_request(self, api: Api) -> None:
        await api.put_product("TEA")
        traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        order = (await api.post_order(BODY, headers={**api.headers(), "traceparent": traceparent})).json()
        await eventually(lambda: len(api.queue.messages) == 1)
        event = parse_message(api.queue.messages[0].message.body)
        assert (event.subject, event.traceparent) == (order["id"], traceparent)

    async def test_a_malformed_trace_is_not_passed_on(self, api: Api) -> None:
        await api.put_product("TEA")
        await api.post_order(BODY, headers={**api.headers(), "traceparent": "rubbish"})
        await eventually(lambda: len(api.queue.messages) == 1)
        assert parse_message(api.queue.messages[0].message.body).traceparent is None

    async def test_with_the_queue_down_orders_are_accepted_all_the_same(self, api: Api) -> None:
        await api.put_product("TEA")
        api.queue.down = True
        assert (await api.post_order(BODY)).status_code == 202
        ready = await api.http.get("/readyz")
        assert (ready.status_code, ready.json()["sqs"], ready.json()["dynamodb"]) == (200, "degraded", "ok")

    async def test_lines_of_the_same_product_are_merged(self, api: Api) -> None:
        await api.put_product("TEA")
        body = {"lines": [{"sku": "TEA", "quantity": 2}, {"sku": "TEA", "quantity": 3}]}
        assert [line["quantity"] for line in (await api.post_order(body)).json()["lines"]] == [5]

    async def test_a_product_can_be_ordered_as_soon_as_it_was_put(self, api: Api) -> None:
        problem_of(await api.post_order(BODY), 422, "unknown_sku")
        await api.put_product("TEA")
        assert (await api.post_order(BODY)).status_code == 202

    async def test_products_in_two_currencies_make_no_order(self, api: Api) -> None:
        await api.put_product("TEA", currency="EUR")
        await api.put_product("CUP", currency="USD")
        body = {"lines": [{"sku": "TEA", "quantity": 1}, {"sku": "CUP", "quantity": 1}]}
        problem_of(await api.post_order(body), 422, "currency_mismatch")

    @pytest.mark.parametrize(
        ("price", "currency", "detail"),
        [
            (1234, "KWD", "1.234 KWD cannot be charged exactly"),
            (12, "EUR", "0.12 EUR is below 0.50 EUR"),
            (1000, "XCG", "the payment provider does not support XCG"),
        ],
    )
    async def test_a_total_that_cannot_be_charged_is_refused_if_it_is_to_be_paid(
        self, api: Api, price: int, currency: str, detail: str
    ) -> None:
        await api.put_product("TEA", unit_price=price, currency=currency)
        body = {"lines": [{"sku": "TEA", "quantity": 1}]}
        problem = problem_of(
            await api.post_order({**body, "payment_token": "pm_card_visa"}), 422, "amount_not_chargeable"
        )
        assert problem["detail"].startswith(detail)
        assert not api.store.orders
        assert (await api.post_order(body)).status_code == 202, "a shop without payments may have any price"

    async def test_ten_of_what_cannot_be_charged_alone_can_be(self, api: Api) -> None:
        await api.put_product("TEA", unit_price=1234, currency="KWD")
        body = {"lines": [{"sku": "TEA", "quantity": 10}], "payment_token": "pm_card_visa"}
        assert (await api.post_order(body)).status_code == 202

    async def test_a_free_order_needs_no_charge(self, api: Api) -> None:
        await api.put_product("TEA", unit_price=0, currency="XCG")
        assert (await api.post_order({**BODY, "payment_token": "pm_card_visa"})).status_code == 202

    async def test_a_reference_is_taken_once(self, api: Api) -> None:
        await api.put_product("TEA")
        await api.post_order(BODY, key="first")
        problem_of(await api.post_order(BODY, key="second"), 409, "reference_taken")

    @pytest.mark.parametrize("sent", [" PO-7", "PO-7\u00a0 ", "caf\u00e9", "cafe\u0301 ", "\u212b"])
    async def test_a_reference_is_stored_in_normal_form_and_freed(self, api: Api, sent: str) -> None:
        await api.put_product("TEA", units=5)
        body = {**BODY, "reference": sent}
        placed = await api.post_order(body)
        normal = unicodedata.normalize("NFC", sent).strip()
        assert placed.json()["reference"] == normal
        again = await api.post_order(body)
        assert (again.json(), again.headers["Idempotent-Replayed"]) == (placed.json(), "true")
        other = await api.post_order({**BODY, "reference": f"{sent} "})
        problem_of(other, 422, "idempotency_key_reused")  # the fingerprint is of the reference as sent
        for form in (normal, sent, f"{normal} ", unicodedata.normalize("NFD", normal)):
            taken = await api.post_order({**BODY, "reference": form}, key=form.encode().hex())
            problem_of(taken, 409, "reference_taken")
        await api.http.post(f"/v1/orders/{placed.json()['id']}/cancel", headers=api.headers())
        assert (await api.post_order({**BODY, "reference": normal}, key="free")).status_code == 202

    @pytest.mark.parametrize(
        "character", ["\x85", "\x9b", "\u061c", "\u200e", "\u200f", "\u2028", "\u2029", "\u202e", "\u2066", "\u2069"]
    )
    async def test_a_reference_has_no_hidden_controls(self, api: Api, character: str) -> None:
        await api.put_product("TEA")
        response = await api.post_order({**BODY, "reference": f"PO{character}7"})
        (error,) = problem_of(response, 400, "validation_failed")["errors"]
        assert error["detail"].endswith(f"this one has U+{ord(character):04X} as character 3")
        product = {"name": f"a{character}", "unit_price": 1, "currency": "EUR"}
        assert (await api.http.put("/v1/products/X", json=product, headers=api.headers())).status_code == 400
        assert (await api.post_order(BODY, key="third", headers=api.headers(customer="bob"))).status_code == 202

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({}, "/lines"),
            ({"lines": []}, "/lines"),
            ({"lines": [{"sku": "TEA"}]}, "/lines/0/quantity"),
            ({"lines": [{"sku": "TEA", "quantity": 0}]}, "/lines/0/quantity"),
            ({"lines": [{"sku": "TEA", "quantity": 1001}]}, "/lines/0/quantity"),
            ({"lines": [{"sku": "TEA", "quantity": "2"}]}, "/lines/0/quantity"),
            ({"lines": [{"sku": "TEA", "quantity": 10**30}]}, "/lines/0/quantity"),
            ({"lines": [{"sku": "a b", "quantity": 1}]}, "/lines/0/sku"),
            ({"lines": [{"sku": "TEA", "quantity": 1, "price": 1}]}, "/lines/0/price"),
            ({"lines": [{"sku": "TEA", "quantity": 1}], "tenant": "globex"}, "/tenant"),
            ({"lines": [{"sku": "TEA", "quantity": 1}], "reference": ""}, "/reference"),
            ({"lines": [{"sku": "TEA", "quantity": 1}], "reference": "x" * 101}, "/reference"),
            ({"lines": [{"sku": "TEA", "quantity": 1}], "reference": "PO\uffff"}, "/reference"),
            ({"lines": [{"sku": "TEA", "quantity": 1}], "a/b~": 1}, "/a~1b~0"),
            ({"lines": [{"sku": "TEA", "quantity": 600}, {"sku": "TEA", "quantity": 600}]}, "/lines"),
            ({"lines": [{"sku": f"S{number}", "quantity": 1} for number in range(51)]}, "/lines"),
            ([], ""),
            (None, ""),
        ],
    )
    async def test_a_bad_body_is_reported_with_the_location_of_the_error(
        self, api: Api, body: Any, pointer: str
    ) -> None:
        problem = problem_of(await api.post_order(body), 400, "validation_failed")
        assert pointer in [error["pointer"] for error in problem["errors"]]
        assert api.store.orders == {}

    @pytest.mark.parametrize("key", [None, "", " ", '""', "x" * 256, '"unfinished'])
    async def test_without_a_usable_key_there_is_no_order(self, api: Api, key: str | None) -> None:
        await api.put_product("TEA")
        response = await api.post_order(BODY, key=key)
        if key == '"unfinished':
            assert response.status_code == 202, "a bare key may begin with a quote"
        else:
            problem_of(response, 400, "idempotency_key_missing")


class TestMetadata:
    METADATA: ClassVar[dict[str, str]] = {"cart": "c-4711", "gift.note": "Für Zoë", "empty": ""}

    async def test_it_is_stored_returned_and_listed(self, api: Api) -> None:
        await api.put_product("TEA")
        placed = await api.post_order({**BODY, "metadata": self.METADATA})
        assert placed.status_code == 202
        stored = await api.orders.get(Customer(tenant="acme", id="ada"), placed.json()["id"])
        read = await api.http.get(placed.headers["Location"], headers=api.headers())
        (listed,) = (await api.http.get("/v1/orders", headers=api.headers())).json()["items"]
        cancelled = await api.http.post(f"{placed.headers['Location']}/cancel", headers=api.headers())
        assert stored.metadata == self.METADATA
        for order in (placed.json(), read.json(), listed, cancelled.json()):
            assert order["metadata"] == self.METADATA

    async def test_it_is_in_no_message(self, api: Api) -> None:
        await api.put_product("TEA")
        await api.post_order({**BODY, "metadata": self.METADATA})
        await eventually(lambda: len(api.queue.messages) == 1)
        assert "c-4711" not in api.queue.messages[0].message.body

    @pytest.mark.parametrize("fields", [{}, {"metadata": None}, {"metadata": {}}], ids=["omitted", "null", "empty"])
    async def test_an_order_without_it_has_none(self, api: Api, fields: dict[str, Any]) -> None:
        await api.put_product("TEA")
        placed = await api.post_order({**BODY, **fields})
        assert (placed.status_code, placed.json()["metadata"]) == (202, {})
        again = await api.post_order(BODY)
        assert (again.json()["id"], again.headers["Idempotent-Replayed"]) == (placed.json()["id"], "true")

    async def test_its_keys_in_another_order_are_the_same_request(self, api: Api) -> None:
        await api.put_product("TEA")
        first = await api.post_order({**BODY, "metadata": self.METADATA})
        again = await api.post_order({**BODY, "metadata": dict(reversed(self.METADATA.items()))})
        assert (again.json(), again.headers["Idempotent-Replayed"]) == (first.json(), "true")

    @pytest.mark.parametrize(
        "metadata",
        [None, {}, {**METADATA, "cart": "c-4712"}, {**METADATA, "more": ""}, {"cart": "c-4711"}],
        ids=["null", "empty", "another value", "another key", "fewer keys"],
    )
    async def test_other_metadata_is_another_request(self, api: Api, metadata: dict[str, str] | None) -> None:
        await api.put_product("TEA")
        await api.post_order({**BODY, "metadata": self.METADATA})
        problem_of(await api.post_order({**BODY, "metadata": metadata}), 422, "idempotency_key_reused")

    @pytest.mark.parametrize(
        "metadata",
        [
            {f"key-{number}": "" for number in range(20)},
            {"k" * 40: "x"},
            {"AZaz09_.-": "x"},
            {"note": "é" * 500},
            {f"k{number}": "é" * 250 for number in range(8)} | {"rest": "x" * 76},
        ],
        ids=["20 keys", "key of 40 characters", "every character", "value of 500 characters", "4,096 bytes"],
    )
    async def test_its_limits_are_allowed(self, api: Api, metadata: dict[str, str]) -> None:
        await api.put_product("TEA")
        placed = await api.post_order({**BODY, "metadata": metadata})
        assert (placed.status_code, placed.json()["metadata"]) == (202, metadata)

    async def test_refused_metadata_places_no_order(self, api: Api) -> None:
        await api.put_product("TEA")
        problem_of(await api.post_order({**BODY, "metadata": {"the cart": "c-1"}}), 400, "validation_failed")
        assert api.store.orders == {}


class TestReplay:
    async def test_the_same_request_again_gives_the_same_order(self, api: Api) -> None:
        await api.put_product("TEA")
        first, again = await api.post_order(BODY), await api.post_order(BODY)
        assert (again.status_code, again.json()) == (202, first.json())
        assert again.headers["Idempotent-Replayed"] == "true"
        assert again.headers["Location"] == first.headers["Location"]
        assert len(api.store.orders) == 1

    async def test_a_quoted_and_a_bare_key_are_the_same(self, api: Api) -> None:
        await api.put_product("TEA")
        first, again = await api.post_order(BODY, key="k-1"), await api.post_order(BODY, key='"k-1"')
        assert first.json()["id"] == again.json()["id"]

    async def test_lines_in_another_order_are_the_same_request(self, api: Api) -> None:
        await api.put_product("TEA")
        await api.put_product("CUP")
        lines = [{"sku": "TEA", "quantity": 1}, {"sku": "CUP", "quantity": 2}]
        first = await api.post_order({"lines": lines})
        again = await api.post_order({"reference": None, "lines": lines[::-1]})
        assert first.json()["id"] == again.json()["id"]

    async def test_another_body_under_the_same_key_is_refused(self, api: Api) -> None:
        await api.put_product("TEA")
        await api.post_order(BODY)
        other = {"lines": [{"sku": "TEA", "quantity": 3}], "reference": "PO-7"}
        problem_of(await api.post_order(other), 422, "idempotency_key_reused")

    async def test_a_replay_outlives_the_catalogue(self, api: Api) -> None:
        await api.put_product("TEA")
        first = await api.post_order(BODY)
        api.store.delete_products()
        other = {"lines": [{"sku": "GONE", "quantity": 3}]}
        assert (await api.post_order(BODY)).json()["id"] == first.json()["id"]
        problem_of(await api.post_order(other), 422, "idempotency_key_reused")
        problem_of(await api.post_order(other, key="new"), 422, "unknown_sku")

    async def test_a_replay_shows_the_order_as_it_is_now(self, api: Api) -> None:
        await api.put_product("TEA", units=10)
        order_id = (await api.post_order(BODY)).json()["id"]
        order = await api.orders.get(Customer(tenant="acme", id="ada"), order_id)
        await api.orders.move(order, order.confirm(order.created_at))
        again = await api.post_order(BODY)
        assert (again.json()["status"], again.headers["ETag"]) == ("confirmed", '"2"')

    async def test_keys_of_different_customers_do_not_meet(self, api: Api) -> None:
        await api.put_product("TEA")
        await api.put_product("TEA", tenant="globex")
        ids = [
            (await api.post_order(BODY, headers=api.headers(tenant, customer))).json()["id"]
            for tenant, customer in (("acme", "ada"), ("acme", "bob"), ("globex", "ada"))
        ]
        assert len(set(ids)) == 3

    async def test_of_many_at_once_one_is_the_order_of_all(self, api: Api) -> None:
        await api.put_product("TEA")
        responses = await asyncio.gather(*(api.post_order(BODY) for _ in range(50)))
        assert {response.status_code for response in responses} == {202}
        assert len({response.json()["id"] for response in responses}) == 1
        assert sum("Idempotent-Replayed" not in response.headers for response in responses) == 1

    async def test_a_key_may_be_used_anew_after_a_day(self, api: Api) -> None:
        await api.put_product("TEA")
        body = {"lines": [{"sku": "TEA", "quantity": 1}]}
        first = await api.post_order(body)
        api.store.expire_records()
        assert (await api.post_order(body)).json()["id"] != first.json()["id"]


class FaultyOrders(MemoryOrderRepository):
    """Let the next write of an order fail with `error`, after storing the order if `applied`."""

    error: Exception | None = None
    applied = False

    async def add(self, order: Order, key_record: IdempotencyRecord, *, sent_reference: str | None = None) -> None:
        error, self.error = self.error, None
        if error is None or self.applied:
            await super().add(order, key_record, sent_reference=sent_reference)
        if error is not None:
            raise error


class ClashingOrders(MemoryOrderRepository):
    """Let every new order of a customer meet another one of the same instant."""

    async def add(self, order: Order, key_record: IdempotencyRecord, *, sent_reference: str | None = None) -> None:  # noqa: ARG002 - the repository's protocol
        raise OrderInstantTaken(order.order_id)


OUTAGE = StorageUnavailable("DynamoDB: timeout")


class TestFailure:
    """After an error, repeating the same request places exactly one order."""

    async def twice(
        self, error: Exception, *, applied: bool
    ) -> tuple[httpx2.Response, httpx2.Response, list[str], list[str]]:
        """Return both responses, the stored orders, and the orders published to the queue."""
        async with open_api(FaultyOrders) as api:
            await api.put_product("TEA")
            assert isinstance(api.orders, FaultyOrders)
            api.orders.error, api.orders.applied = error, applied
            first, again = await api.post_order(BODY), await api.post_order(BODY)
        said = [parse_message(stored.message.body).subject for stored in api.queue.messages]
        return first, again, [order.order_id for order in api.store.orders.values()], said

    @pytest.mark.parametrize(("error", "status"), [(OUTAGE, 503), (ZeroDivisionError("a bug"), 500)], ids=repr)
    async def test_a_saved_5xx_is_never_replayed(self, error: Exception, status: int) -> None:
        first, again, stored, said = await self.twice(error, applied=False)
        assert (first.status_code, again.status_code) == (status, 202)
        assert "Idempotent-Replayed" not in again.headers
        assert stored == said == [again.json()["id"]], "nothing was said of the order that was not stored"

    async def test_an_answer_that_was_lost_is_found_under_its_key(self) -> None:
        first, again, stored, said = await self.twice(OUTAGE, applied=True)
        assert (first.status_code, first.json()["retryable"], again.status_code) == (503, True, 202)
        assert again.headers["Idempotent-Replayed"] == "true"
        assert stored == [again.json()["id"]]
        assert said == [], "it stands in the outbox: the sweeper says it"

    async def test_a_write_whose_response_was_lost_is_no_replay(self) -> None:
        first, again, stored, said = await self.twice(RecordTaken("-"), applied=True)
        assert (first.status_code, "Idempotent-Replayed" in first.headers) == (202, False)
        assert again.headers["Idempotent-Replayed"] == "true"
        assert stored == said == [first.json()["id"]]

    async def test_an_order_that_meets_another_at_every_instant_is_refused_for_now(self) -> None:
        async with open_api(ClashingOrders) as api:
            await api.put_product("TEA")
            response = await api.post_order(BODY)
            assert not api.queue.messages
        assert (response.status_code, response.json()["retryable"]) == (503, True)


class TestCancel:
    async def placed(self, api: Api, *, confirmed: bool = False) -> str:
        await api.put_product("TEA", units=10)
        order_id: str = (await api.post_order(BODY)).json()["id"]
        if confirmed:
            order = await api.orders.get(Customer(tenant="acme", id="ada"), order_id)
            await api.orders.move(order, order.confirm(order.created_at))
        return order_id

    async def cancel(self, api: Api, order_id: str, if_match: str | None = None, **who: str) -> httpx2.Response:
        headers = api.headers(**who) | ({} if if_match is None else {"If-Match": if_match})
        return await api.http.post(f"/v1/orders/{order_id}/cancel", headers=headers)

    async def test_a_pending_order_is_cancelled_at_once(self, api: Api) -> None:
        order_id = await self.placed(api)
        response = await self.cancel(api, order_id)
        assert (response.status_code, response.json()["status"]) == (202, "cancelled")
        assert response.headers["ETag"] == '"2"'
        assert (await api.post_order(BODY, key="new")).status_code == 202, "its reference is free again"

    async def test_an_order_that_changes_before_each_of_three_attempts_is_read_again(
        self, api: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is reserved, takes its newest stored version with the decision to undo its payment, and is rejected."""
        await api.put_product("TEA", units=10)
        order = make_order(payment_token="pm_card_visa", stores_history=False)
        await api.orders.add(order, make_record(order))
        at, reason = order.created_at, Reason(ReasonCode.PAYMENT_DECLINED, "declined")
        changes: list[Callable[[Order], Order]] = [
            lambda order: order.reserve(at, owner="one", lease_until=at),
            lambda order: order.begin_undo(Undo(UndoKind.REJECT, "declined")),
            lambda order: order.reject(at, reason),
        ]
        get = api.orders.get

        async def change_after_read(customer: Customer, order_id: str) -> Order:
            read = await get(customer, order_id)
            if changes:
                await api.orders.move(read, changes.pop(0)(read))
            return read

        monkeypatch.setattr(api.orders, "get", change_after_read)
        problem_of(await self.cancel(api, order.order_id, customer=order.customer.id), 409, "not_cancellable")
        assert changes == []

    async def test_a_confirmed_order_is_left_to_the_processor(self, api: Api) -> None:
        order_id = await self.placed(api, confirmed=True)
        response = await self.cancel(api, order_id)
        assert (response.status_code, response.json()["status"]) == (202, "confirmed")
        assert response.json()["cancel_requested_at"] == response.json()["updated_at"]
        await eventually(lambda: len(api.queue.messages) == 2)
        assert isinstance(parse_message(api.queue.messages[1].message.body), CancellationRequested)
        stored = await api.orders.get(Customer(tenant="acme", id="ada"), order_id)
        assert stored.cancel_requested_at is not None
        assert stored.is_open

    @pytest.mark.parametrize("confirmed", [False, True])
    async def test_repeating_a_cancellation_changes_nothing(self, api: Api, *, confirmed: bool) -> None:
        order_id = await self.placed(api, confirmed=confirmed)
        first, again = await self.cancel(api, order_id), await self.cancel(api, order_id)
        assert (again.status_code, again.json()) == (202, first.json())
        assert again.headers["ETag"] == first.headers["ETag"]

    async def test_several_if_match_lines_are_one_list(self, api: Api) -> None:
        order_id = await self.placed(api)
        headers = [*api.headers().items(), ("If-Match", '"7"'), ("If-Match", '"1"')]
        assert (await api.http.post(f"/v1/orders/{order_id}/cancel", headers=headers)).status_code == 202

    async def test_an_if_match_that_is_no_list_of_etags_is_a_bad_request(self, api: Api) -> None:
        response = await self.cancel(api, await self.placed(api), "1")
        assert problem_of(response, 400, "validation_failed")["errors"][0]["pointer"].startswith("header:if-match")

    @pytest.mark.parametrize("if_match", ['"1"', "*", '"7", "1"'])
    async def test_if_match_lets_the_version_pass_that_was_seen(self, api: Api, if_match: str) -> None:
        assert (await self.cancel(api, await self.placed(api), if_match)).status_code == 202

    @pytest.mark.parametrize("if_match", ['"2"', 'W/"1"', '"x"'])
    async def test_if_match_stops_any_other(self, api: Api, if_match: str) -> None:
        response = await self.cancel(api, await self.placed(api), if_match)
        assert problem_of(response, 412, "version_mismatch")["current_version"] == 1

    async def test_a_rejected_order_cannot_be_cancelled(self, api: Api) -> None:
        order_id = await self.placed(api)
        order = await api.orders.get(Customer(tenant="acme", id="ada"), order_id)
        await api.orders.move(order, order.reject(order.created_at, Reason(ReasonCode.OUT_OF_STOCK, "-")))
        problem_of(await self.cancel(api, order_id), 409, "not_cancellable")

    async def test_a_confirmed_order_cannot_be_cancelled_after_the_window(self, api: Api) -> None:
        order_id = await self.placed(api)
        order = await api.orders.get(Customer(tenant="acme", id="ada"), order_id)
        long_ago = order.created_at - timedelta(hours=25)
        confirmed = order.confirm(order.created_at)
        aged = replace(confirmed, history=(*order.history, replace(confirmed.history[-1], at=long_ago)))
        await api.orders.move(order, aged)
        problem_of(await self.cancel(api, order_id), 409, "not_cancellable")

    @pytest.mark.parametrize("who", [{"customer": "bob"}, {"tenant": "globex"}])
    async def test_nobody_else_can_cancel_it(self, api: Api, who: dict[str, str]) -> None:
        order_id = await self.placed(api)
        problem_of(await self.cancel(api, order_id, **who), 404, "order_not_found")
        assert (await self.cancel(api, order_id)).json()["version"] == 2

    async def test_staff_can(self, api: Api) -> None:
        order_id = await self.placed(api)
        scope = "orders:write orders:admin"
        assert (await self.cancel(api, order_id, customer="staff", scope=scope)).status_code == 202


class TestPayment:
    async def test_the_token_is_stored_and_never_shown(self, api: Api) -> None:
        await api.put_product("TEA")
        response = await api.post_order({**BODY, "payment_token": "pm_card_visa"})
        order = await api.orders.get(Customer(tenant="acme", id="ada"), response.json()["id"])
        assert order.payment.token == "pm_card_visa"
        await eventually(lambda: len(api.queue.messages) == 1)
        assert "pm_card_visa" not in response.text + api.queue.messages[0].message.body

    async def test_another_token_is_another_request(self, api: Api) -> None:
        await api.put_product("TEA")
        await api.post_order({**BODY, "payment_token": "pm_card_visa"})
        other = await api.post_order({**BODY, "payment_token": "pm_card_mastercard"})
        problem_of(other, 422, "idempotency_key_reused")

    @pytest.mark.parametrize("token", ["", "pm card", "x" * 256, "pm\n", 7])
    async def test_a_token_that_is_none_is_refused(self, api: Api, token: object) -> None:
        problem_of(await api.post_order({**BODY, "payment_token": token}), 400, "validation_failed")


class TestPaymentSummary:
    """What the customer sees of a payment, after each way that an order can take."""

    async def placed(self, api: Api, **fields: Any) -> Order:
        await api.put_product("TEA", unit_price=445, units=10)
        order_id = (await api.post_order({**BODY, "payment_token": "pm_card_visa", **fields})).json()["id"]
        return await api.orders.get(Customer(tenant="acme", id="ada"), order_id)

    async def confirmed(self, api: Api) -> Order:
        reserved = await self.moved(api, await self.placed(api), reserve)
        return await self.moved(api, reserved, lambda order, at: order.with_payment("pi_1").confirm(at))

    async def moved(self, api: Api, order: Order, change: Callable[[Order, datetime], Order]) -> Order:
        return await api.orders.move(order, change(order, order.updated_at + timedelta(seconds=1)))

    async def seen(self, api: Api, order: Order) -> Any:
        """Return the payment as the API returns it by id, after checking that a list has the same."""
        read = (await api.http.get(f"/v1/orders/{order.order_id}", headers=api.headers())).json()
        (listed,) = (await api.http.get("/v1/orders", headers=api.headers())).json()["items"]
        assert listed == read
        return read["payment"]

    async def test_it_is_pending_until_the_order_is_charged(self, api: Api) -> None:
        pending = {"status": "pending", "captured": 0, "refunded": 0, "history": []}
        order = await self.placed(api)
        assert await self.seen(api, order) == pending
        assert await self.seen(api, await self.moved(api, order, reserve)) == pending

    async def test_it_is_captured_once_the_order_is_confirmed(self, api: Api) -> None:
        order = await self.confirmed(api)
        charged = {"type": "charged", "amount": 890, "at": to_text(order.updated_at)}
        captured = {"status": "captured", "captured": 890, "refunded": 0, "history": [charged]}
        assert await self.seen(api, order) == captured
        cancelling = await api.http.post(f"/v1/orders/{order.order_id}/cancel", headers=api.headers())
        assert cancelling.json()["payment"] == captured, "it is refunded later, by the processor"

    async def test_it_is_refunded_once_the_order_is_cancelled(self, api: Api) -> None:
        order = await self.confirmed(api)
        await api.http.post(f"/v1/orders/{order.order_id}/cancel", headers=api.headers())
        requested = await api.orders.get(order.customer, order.order_id)
        cancelled = await self.moved(api, requested, lambda order, at: order.cancel(at, refunded=True))
        movements = [
            {"type": "charged", "amount": 890, "at": to_text(order.updated_at)},
            {"type": "refunded", "amount": 890, "at": to_text(cancelled.updated_at)},
        ]
        expected = {"status": "refunded", "captured": 890, "refunded": 890, "history": movements}
        assert await self.seen(api, cancelled) == expected

    async def test_it_is_declined_if_the_payment_provider_declines(self, api: Api) -> None:
        reserved = await self.moved(api, await self.placed(api), reserve)
        reason = Reason(ReasonCode.PAYMENT_DECLINED, "the payment was declined: card_declined")
        rejected = await self.moved(api, reserved, lambda order, at: order.reject(at, reason))
        declined = {"status": "declined", "captured": 0, "refunded": 0, "history": []}
        assert await self.seen(api, rejected) == declined

    @pytest.mark.parametrize("code", [ReasonCode.OUT_OF_STOCK, ReasonCode.REJECTED_BY_OPERATOR])
    async def test_it_is_cancelled_if_the_order_ends_without_a_charge(self, api: Api, code: ReasonCode) -> None:
        order = await self.placed(api)
        rejected = await self.moved(api, order, lambda order, at: order.reject(at, Reason(code, "-")))
        cancelled = {"status": "cancelled", "captured": 0, "refunded": 0, "history": []}
        assert await self.seen(api, rejected) == cancelled

    async def test_it_is_cancelled_with_a_pending_order(self, api: Api) -> None:
        order = await self.placed(api)
        response = await api.http.post(f"/v1/orders/{order.order_id}/cancel", headers=api.headers())
        cancelled = {"status": "cancelled", "captured": 0, "refunded": 0, "history": []}
        assert response.json()["payment"] == cancelled == await self.seen(api, order)

    async def test_a_replay_shows_it_as_it_is_now(self, api: Api) -> None:
        order = await self.confirmed(api)
        again = await api.post_order({**BODY, "payment_token": "pm_card_visa"})
        assert again.json()["payment"] == await self.seen(api, order)

    @pytest.mark.parametrize(("price", "fields"), [(445, {"payment_token": None}), (0, {})], ids=["no token", "free"])
    async def test_an_order_with_nothing_to_pay_has_none(self, api: Api, price: int, fields: dict[str, Any]) -> None:
        await api.put_product("TEA", unit_price=price)
        placed = await api.post_order({**BODY, "payment_token": "pm_card_visa", **fields})
        assert (placed.status_code, placed.json()["payment"]) == (202, None)


def reserve(order: Order, at: datetime) -> Order:
    return order.reserve(at, owner="worker", lease_until=at)


class TestGet:
    async def test_a_customer_sees_their_order(self, api: Api) -> None:
        await api.put_product("TEA")
        placed = await api.post_order(BODY)
        seen = await api.http.get(placed.headers["Location"], headers=api.headers())
        assert (seen.status_code, seen.json(), seen.headers["ETag"]) == (200, placed.json(), '"1"')

    @pytest.mark.parametrize(("tenant", "customer"), [("acme", "bob"), ("globex", "ada")])
    async def test_nobody_else_does(self, api: Api, tenant: str, customer: str) -> None:
        await api.put_product("TEA")
        location = (await api.post_order(BODY)).headers["Location"]
        problem_of(await api.http.get(location, headers=api.headers(tenant, customer)), 404, "order_not_found")

    async def test_staff_see_all_orders_of_their_tenant(self, api: Api) -> None:
        await api.put_product("TEA")
        location = (await api.post_order(BODY)).headers["Location"]
        scope = "orders:read orders:admin"
        assert (await api.http.get(location, headers=api.headers("acme", "staff", scope))).status_code == 200
        stranger = await api.http.get(location, headers=api.headers("globex", "staff", scope))
        problem_of(stranger, 404, "order_not_found")

    @pytest.mark.parametrize("order_id", ["nothing", "ord_" + "f" * 32, "%00", "ord_" + "0" * 32])
    async def test_an_impossible_id_is_not_found(self, api: Api, order_id: str) -> None:
        problem_of(await api.http.get(f"/v1/orders/{order_id}", headers=api.headers()), 404, "order_not_found")
