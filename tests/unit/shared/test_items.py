"""Stored orders: every version can be read, and adjacent releases read each other's items."""

import re
from copy import deepcopy
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from order_api.order.metadata import MAX_BYTES, MAX_KEY_LENGTH, MAX_KEYS
from order_shared.aws.dynamodb import Item
from order_shared.domain.inventory.models import MAX_NAME_LENGTH, MAX_UNIT_PRICE
from order_shared.domain.order.models import (
    MAX_ERROR_LENGTH,
    MAX_LINES,
    MAX_QUANTITY,
    MAX_REFERENCE_LENGTH,
    Customer,
    LastError,
    Lease,
    Order,
    Parked,
    Parking,
    Reason,
    ReasonCode,
    Schedule,
)
from order_shared.domain.order.payments import PaymentAttempts, PaymentCall, PaymentState, Undo, UndoKind
from order_shared.runtime.validation import NAME_PATTERN
from order_shared.storage.item_schema import UnknownItemVersion, Versions, version_of
from order_shared.storage.order_items import (
    ITEM_VERSION,
    MUTABLE,
    TIMELINE_VERSION,
    VERSIONS,
    to_customer,
    to_item,
    to_order,
    update_expression,
)
from order_shared.storage.order_upgrades import UPGRADES
from order_shared.storage.tenant_keys import listing_attributes
from tests.factories import NOON, make_order, make_product
from tests.releases import read_by_release_1, stored_by_release_1, without_version

LATER = NOON + timedelta(minutes=3)
SOON = timedelta(seconds=60)
ABSENT = object()
VERSION_FIELD = "item_version"

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10)
former_subjects = st.from_regex(NAME_PATTERN, fullmatch=True)
"""Subjects that the last release supports."""


@st.composite
def lives(draw: st.DrawFn) -> list[Order]:
    """Generate the states of one order over its life."""
    lines = draw(st.lists(st.tuples(names, st.integers(0, 10_000_000), st.integers(1, 1000)), min_size=1, max_size=4))
    pending = make_order(
        customer=Customer(tenant="acme", id=draw(former_subjects)),
        lines=[
            (make_product(sku=f"SKU-{n}", name=name, unit_price=price, stock_shards=16), quantity)
            for n, (name, price, quantity) in enumerate(lines)
        ],
        reference=draw(st.none() | names),
        at=NOON,
    )
    token = draw(st.none() | names)
    is_paid = token is not None and pending.total > 0
    pending = replace(pending, stores_history=draw(st.booleans()), payment=PaymentState(required=is_paid, token=token))
    swept = replace(pending, schedule=replace(pending.schedule, sweeps=draw(st.integers(0, 20))))
    failed = swept.failed(LATER, ValueError(draw(names)))
    parked = failed.park(LATER, "overdue")
    retried = parked.unpark(LATER, due_at=1)
    reserved = failed.reserve(LATER, owner=draw(names), lease_until=LATER + SOON)
    paying = reserved.with_payment(draw(names)) if is_paid else reserved
    asked = paying.request_cancel(LATER, due_at=2)
    reason = Reason(draw(st.sampled_from(ReasonCode)), draw(names), draw(st.none() | names))
    confirmed = paying.confirm(LATER)
    returning = confirmed.request_cancel(LATER + SOON, due_at=3)
    ends = [pending.cancel(LATER), reserved.reject(LATER, reason), asked.cancel(LATER), confirmed]
    ends.append(returning.cancel(LATER + SOON, refunded=is_paid))
    return [pending, failed, parked, retried, reserved, paying, paying.release(), asked, returning, *ends]


def older_items(order: Order) -> dict[int, Item]:
    """Return the order's items as earlier releases stored them, by version."""
    item = stored_by_release_1(order)
    of_last_release = to_item(replace(order, stores_history=False))
    of_last_release.pop("payment_required", None)
    of_last_release.pop("last_error", None)
    return {0: without_version(item), 1: item, TIMELINE_VERSION: of_last_release}


def as_stored_by_older(order: Order) -> Order:
    """Return what is left of the order if an earlier release has stored it."""
    is_known = order.payment.id is not None or order.payment.token is not None
    return replace(
        order,
        stores_history=False,
        payment=replace(order.payment, required=order.payment.required and is_known),
        parking=replace(order.parking, last_error=None),
    )


@settings(max_examples=25, deadline=None)
@given(lives())
def test_an_order_survives_its_item_of_any_version(life: list[Order]) -> None:
    for order in life:
        assert to_order(to_item(order)) == order
        for item in older_items(order).values():
            left = as_stored_by_older(order)
            assert to_order(item) == left
            assert to_order(VERSIONS.upgraded(item)) == replace(left, stores_history=True)


@settings(max_examples=25, deadline=None)
@given(lives())
def test_an_upgraded_item_equals_an_item_of_this_release(life: list[Order]) -> None:
    for order in life:
        for version, item in older_items(order).items():
            before = deepcopy(item)
            assert version_of(item) == version
            expected = to_item(replace(as_stored_by_older(order), stores_history=True))
            expected.pop("payment_required", None)
            listed = listing_attributes(
                order.customer.tenant, order.order_id, order.reference
            )  # the backfill adds them
            assert VERSIONS.upgraded(item) | listed == expected
            assert item == before


@settings(max_examples=25, deadline=None)
@given(lives())
def test_the_previous_release_reads_the_items_of_this_one(life: list[Order]) -> None:
    """In a blue/green deployment both releases run at the same time, and this one stores no history."""
    for order in life:
        left = as_stored_by_older(replace(order, payment=replace(order.payment, required=False)))
        read = read_by_release_1(to_item(replace(order, stores_history=False)))
        assert replace(read, history=left.history) == left
        assert read.timeline == left.timeline


@settings(max_examples=25, deadline=None)
@given(lives())
def test_an_upgrade_depends_only_on_what_the_condition_of_the_rewrite_contains(life: list[Order]) -> None:
    for order in life:
        for version, item in older_items(order).items():
            guarded = VERSIONS.read_by_upgrades(version) | _upgrade_of(item).keys()
            others = {name: value for name, value in item.items() if name in MUTABLE.keys() - guarded}
            changed = {**item, **dict.fromkeys(others, "changed")}
            assert _upgrade_of(changed) == _upgrade_of(item)


def _upgrade_of(item: Item) -> dict[str, Any]:
    after = VERSIONS.upgraded(item)
    names_of_both = item.keys() | after.keys()
    return {name: after.get(name, ABSENT) for name in names_of_both if after.get(name) != item.get(name)}


@settings(max_examples=25, deadline=None)
@given(lives())
def test_a_history_has_one_entry_for_each_version(life: list[Order]) -> None:
    for order in life:
        for item in (to_item(order), *older_items(order).values()):
            assert len(to_order(item).history) == order.version


def test_a_current_item_is_not_copied() -> None:
    item = to_item(make_order())
    assert VERSIONS.upgraded(item) is item


def test_every_version_up_to_the_newest_is_read() -> None:
    assert list(UPGRADES) == list(range(ITEM_VERSION))


@pytest.mark.parametrize("version", [ITEM_VERSION + 1, -1])
def test_an_item_of_an_unknown_version_is_rejected(version: int) -> None:
    item = to_item(make_order(reference="to Grandma")) | {"item_version": version}
    before = deepcopy(item)
    with pytest.raises(UnknownItemVersion, match=f"version {version}; this release reads 0 to {ITEM_VERSION}"):
        to_order(item)
    assert item == before


def test_a_version_without_an_upgrade_is_rejected() -> None:
    contracted = Versions("orders", ITEM_VERSION, {1: UPGRADES[1], 2: UPGRADES[2]})
    items = older_items(make_order())
    assert version_of(contracted.upgraded(items[1])) == ITEM_VERSION
    with pytest.raises(UnknownItemVersion, match="version 0; this release reads 1 to"):
        contracted.upgraded(items[0])


@given(st.text(st.characters(max_codepoint=127), min_size=1, max_size=255), former_subjects)
def test_every_subject_has_a_key_of_its_own_and_former_keys_do_not_change(subject: str, former: str) -> None:
    order = make_order(customer=Customer(tenant="acme", id=subject), placed_by=subject)
    item = to_item(order)
    assert re.fullmatch(r"acme#[A-Za-z0-9._:@|%-]+", item["customer_key"])
    assert to_order(item) == order
    assert Customer(tenant="acme", id=former).key == f"acme#{former}"
    assert (Customer(tenant="acme", id=subject).key == f"acme#{former}") == (subject == former)


@pytest.mark.parametrize(
    ("subject", "key"),
    [
        ("auth0|64b.7", "acme#auth0|64b.7"),
        ("ada@example.com", "acme#ada@example.com"),
        ("urn:acme:7", "acme#urn:acme:7"),
        ("user+tag@example.com", "acme#user%2Btag@example.com"),
        ("CN=Ada,O=A/B", "acme#CN%3DAda%2CO%3DA%2FB"),
        ("100%", "acme#100%25"),
        ("a#b", "acme#a%23b"),
        ("~", "acme#%7E"),
        ("a\n", "acme#a%0A"),
    ],
)
def test_other_characters_of_a_subject_are_percent_encoded(subject: str, key: str) -> None:
    assert Customer(tenant="acme", id=subject).key == key
    assert to_customer(key) == Customer(tenant="acme", id=subject)
    assert to_item(make_order(placed_by=subject))["placed_by"] == key.removeprefix("acme#")


def test_who_placed_an_order_is_stored_and_the_previous_release_ignores_it() -> None:
    order = make_order(placed_by="shop/backend", stores_history=False)
    assert to_order(to_item(order)).placed_by == "shop/backend"
    assert read_by_release_1(to_item(order)) == replace(order, placed_by=None)
    assert "placed_by" not in to_item(make_order())


def test_the_trace_is_stored_and_the_previous_release_ignores_it() -> None:
    order = make_order(traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", stores_history=False)
    assert to_order(to_item(order)) == order
    assert read_by_release_1(to_item(order)) == replace(order, traceparent=None)


def test_every_field_survives_its_item() -> None:
    """Fails for a new field of an order until it is set here and stored."""
    order = replace(
        make_order(
            reference="to Grandma",
            metadata={"cart": "c-4711"},
            placed_by="shop/backend",
            traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            stores_history=False,
        ),
        reason=Reason(ReasonCode.OUT_OF_STOCK, "sold out", "TEA"),
        schedule=Schedule(due_at=1, sweeps=2),
        lease=Lease(owner="worker", until=1),
        payment=PaymentState(
            required=True,
            token="pm_card_visa",
            id="pi_1",
            attempts=PaymentAttempts(create=1, confirm=2, cancel=3, refund=4),
            undo=Undo(UndoKind.REJECT, "card_declined"),
        ),
        parking=Parking(
            attempts=3,
            last_error=LastError(type="ValueError", text="a bug", at=LATER),
            parked=Parked(LATER, "overdue"),
            retried_at=LATER,
        ),
        cancel_requested_at=LATER,
    )
    parts: list[Any] = [order, order.schedule, order.payment, order.parking, order.reason]
    for part in parts:
        for field in fields(part):
            assert getattr(part, field.name) != field.default, f"{type(part).__name__}.{field.name} has its default"
    assert to_order(to_item(replace(order, stores_history=True))) == replace(order, stores_history=True)


@pytest.mark.parametrize(("character", "kilobytes"), [("x", 32), ("\U0001f375", 40)], ids=["ASCII", "4 bytes each"])
def test_the_size_of_an_item_is_bounded(character: str, kilobytes: int) -> None:
    """A write costs one unit per kilobyte, and DynamoDB's limit is 400 KB."""
    products = [
        make_product(sku=f"{number:064d}", name=character * MAX_NAME_LENGTH, unit_price=MAX_UNIT_PRICE, stock_shards=16)
        for number in range(MAX_LINES)
    ]
    value = character * ((MAX_BYTES // MAX_KEYS - MAX_KEY_LENGTH) // len(character.encode()))
    order = make_order(
        customer=Customer(tenant="t" * 128, id="%" * 255),
        lines=[(product, MAX_QUANTITY) for product in products],
        reference=character * MAX_REFERENCE_LENGTH,
        metadata={f"{number:0{MAX_KEY_LENGTH}d}": value for number in range(MAX_KEYS)},
        placed_by="%" * 255,
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        payment_token="p" * 255,
    )
    failed = order.failed(LATER, ValueError(character * MAX_ERROR_LENGTH)).park(LATER, "unexpected_errors")
    assert stored_size(to_item(failed)) < kilobytes * 1024


def stored_size(value: Any) -> int:
    """Return the bytes for which DynamoDB charges: names and values, and the overhead of lists and maps."""
    if isinstance(value, dict):
        return 3 + sum(1 + len(name.encode()) + stored_size(part) for name, part in value.items())
    if isinstance(value, list):
        return 3 + sum(1 + stored_size(part) for part in value)
    return len(value.encode()) if isinstance(value, str) else 2 + len(str(value)) // 2


def test_attributes_of_a_later_release_are_ignored() -> None:
    order = make_order().park(LATER, "overdue")
    item = to_item(order)
    item |= {"gift": True}
    for part in (item["lines"][0], item["history"][0], item["parked"]):
        part["colour"] = "green"
    assert to_order(item) == order


def test_a_move_does_not_change_the_version() -> None:
    order = make_order()
    for after in (order.confirm(LATER), order.reserve(LATER, owner="me", lease_until=LATER + SOON)):
        assert "item_version" not in (update_expression(order, after).debug() or "")


@settings(max_examples=25, deadline=None)
@given(lives(), st.sampled_from(UndoKind), st.none() | names, st.sampled_from(PaymentCall))
def test_attempts_and_the_decision_to_undo_survive_their_item(
    life: list[Order], kind: UndoKind, code: str | None, call: PaymentCall
) -> None:
    for order in life:
        for changed in (order.begin_undo(Undo(kind, code)), order.with_next_attempt(call), order.without_payment()):
            assert to_order(to_item(changed)) == replace(changed, stores_history=True)
            assert to_item(changed)["item_version"] == ITEM_VERSION
        assert to_item(order)["item_version"] == (ITEM_VERSION if order.stores_history else TIMELINE_VERSION)


def test_the_first_write_that_the_previous_release_could_not_read_stores_the_history() -> None:
    order = make_order(payment_token="pm_card_visa", stores_history=False)
    numbered = order.with_next_attempt(PaymentCall.CONFIRM)
    assert VERSION_FIELD not in _changed(order, order.with_payment("pi_1"))
    assert {VERSION_FIELD, "history"} <= _changed(order, numbered)
    numbered = replace(numbered, stores_history=True)
    assert VERSION_FIELD not in _changed(numbered, numbered.with_next_attempt(PaymentCall.CONFIRM))
    assert VERSION_FIELD not in _changed(numbered, numbered.begin_undo(Undo(UndoKind.CANCEL)))


def _changed(before: Order, after: Order) -> set[str]:
    return {field.path.root for field, _ in update_expression(before, after).set_updates}
