"""Order ids: the time is read back from the id, and any other text is rejected."""

from contextlib import suppress
from datetime import datetime
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from order_shared.domain.clock import EPOCH, MAX_MICROS, from_micros
from order_shared.domain.order.exceptions import InvalidOrderId
from order_shared.domain.order.ids import PREFIX, created_at_of, new_order_id

instants = st.integers(0, MAX_MICROS).map(from_micros)


def order_id(*, millis: int = 1, micros: int = 0, version: int = 7, variant: int = 0b10) -> str:
    return f"{PREFIX}{millis << 80 | version << 76 | micros << 64 | variant << 62:032x}"


@settings(max_examples=40, deadline=None)
@given(instants)
def test_an_id_contains_its_time_exactly(at: datetime) -> None:
    assert created_at_of(new_order_id(at)) == at


@settings(max_examples=40, deadline=None)
@given(instants)
def test_an_id_is_a_uuid_of_version_7(at: datetime) -> None:
    uuid = UUID(new_order_id(at).removeprefix(PREFIX))
    assert (uuid.version, uuid.variant) == (7, "specified in RFC 4122")


@settings(max_examples=40, deadline=None)
@given(instants, instants)
def test_ids_sort_by_time(one: datetime, other: datetime) -> None:
    if one != other:
        assert (new_order_id(one) < new_order_id(other)) == (one < other)


def test_two_ids_of_the_same_time_differ() -> None:
    assert new_order_id(EPOCH) != new_order_id(EPOCH)


@pytest.mark.parametrize(
    "text",
    [
        "",
        PREFIX,
        "not an id",
        order_id().removeprefix(PREFIX),
        order_id() + "0",
        order_id()[:-1],
        order_id() + "\n",
        " " + order_id(),
        PREFIX + order_id(),
        order_id().upper(),
        order_id(millis=0xABC).replace("abc", "ABC"),
        order_id().replace("ord_", "cus_"),
        PREFIX + "\N{ARABIC-INDIC DIGIT ZERO}" * 32,
        PREFIX + "0x" + "0" * 30,
        PREFIX + "_" * 32,
        str(UUID(order_id().removeprefix(PREFIX))),
    ],
)
def test_text_that_is_not_an_id_is_rejected(text: str) -> None:
    with pytest.raises(InvalidOrderId):
        created_at_of(text)


def test_the_highest_microsecond_of_a_millisecond_is_999() -> None:
    assert created_at_of(order_id(micros=999)) == from_micros(1_999)
    with pytest.raises(InvalidOrderId):
        created_at_of(order_id(micros=1000))


def test_the_last_time_is_the_end_of_the_year_9999() -> None:
    millis, micros = divmod(MAX_MICROS, 1000)
    assert created_at_of(order_id(millis=millis, micros=micros)) == from_micros(MAX_MICROS)
    with pytest.raises(InvalidOrderId):
        created_at_of(order_id(millis=millis + 1))


@pytest.mark.parametrize("version", sorted(set(range(16)) - {7}))
def test_another_version_is_refused(version: int) -> None:
    with pytest.raises(InvalidOrderId):
        created_at_of(order_id(version=version))


@pytest.mark.parametrize("variant", [0b00, 0b01, 0b11])
def test_another_variant_is_refused(variant: int) -> None:
    with pytest.raises(InvalidOrderId):
        created_at_of(order_id(variant=variant))


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=40) | st.text("0123456789abcdef", min_size=32, max_size=32).map(PREFIX.__add__))
def test_any_text_is_either_an_id_or_refused(text: str) -> None:
    with suppress(InvalidOrderId):
        assert EPOCH <= created_at_of(text) <= from_micros(MAX_MICROS)


def test_an_error_truncates_a_long_text() -> None:
    with pytest.raises(InvalidOrderId) as refusal:
        created_at_of("x" * 10_000)
    assert len(str(refusal.value)) < 100
