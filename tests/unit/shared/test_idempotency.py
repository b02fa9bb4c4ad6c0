"""Idempotency records: fingerprints of requests, lifetime and keys of records."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from order_shared.domain.clock import MICROSECOND, from_micros
from order_shared.domain.idempotency import (
    KEY_LIFETIME,
    IdempotencyRecord,
    RecordKind,
    expiry,
    fingerprint,
    record_key,
    to_seconds,
)
from order_shared.domain.order.models import Customer
from tests.factories import NOON, make_customer

Json = None | int | str | list["Json"] | dict[str, "Json"]

values: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children, max_size=3),
    max_leaves=8,
)
payloads = st.dictionaries(st.text(max_size=3), values, max_size=4)

parts = st.text("ab.:@|-_", min_size=1, max_size=3)
claimants = st.tuples(parts, parts, st.sampled_from(RecordKind), st.text("ab#:|", max_size=3))


def backwards(value: Json) -> Json:
    """Return the same content with the keys of each object in reverse order."""
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(value)}
    return [backwards(each) for each in value] if isinstance(value, list) else value


@settings(max_examples=50, deadline=None)
@given(payloads)
def test_the_order_of_keys_does_not_matter(payload: dict[str, Json]) -> None:
    turned = {key: backwards(payload[key]) for key in reversed(payload)}
    assert fingerprint(turned) == fingerprint(payload)


@settings(max_examples=100, deadline=None)
@given(payloads, payloads)
def test_fingerprints_are_the_same_exactly_for_the_same_content(one: dict[str, Json], other: dict[str, Json]) -> None:
    assert (fingerprint(one) == fingerprint(other)) == (one == other)


@pytest.mark.parametrize(
    "other",
    [
        {"lines": {"TEA": 3}},
        {"lines": {"TEE": 2}},
        {"lines": {"TEA": "2"}},
        {"lines": {"TEA": 2, "CUP": 1}},
        {"lines": {"TEA": 2}, "reference": "PO-7"},
        {"lines": {"TEA": 2}, "reference": None},
        {},
    ],
)
def test_different_content_has_a_different_fingerprint(other: dict[str, object]) -> None:
    assert fingerprint(other) != fingerprint({"lines": {"TEA": 2}})


def test_the_order_of_a_list_matters() -> None:
    assert fingerprint({"lines": [1, 2]}) != fingerprint({"lines": [2, 1]})


def test_a_fingerprint_has_its_version_and_is_stable() -> None:
    """Fingerprints are stored: a different value for the same request would reject its retry."""
    stored = "v1:409e6469fbc5093d163f093079d9b2a25902aaa4cd1c558d9299b2fc956471b0"
    assert fingerprint({"reference": "Größe 7", "lines": {"TEA": 2}}) == stored


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**15))
def test_a_record_lives_until_the_last_microsecond_of_its_last_second(micros: int) -> None:
    claim = IdempotencyRecord(key="key", subject="subject", fingerprint=None, expires_at=expiry(from_micros(micros)))
    first_dead = from_micros((expiry(from_micros(micros)) + 1) * 1_000_000)
    assert claim.is_live(from_micros(micros))
    assert claim.is_live(first_dead - MICROSECOND)
    assert not claim.is_live(first_dead)


def test_a_key_lives_for_a_day() -> None:
    claim = IdempotencyRecord(key="key", subject="subject", fingerprint="v1:x", expires_at=expiry(NOON))
    assert timedelta(hours=24) == KEY_LIFETIME
    assert claim.expires_at == to_seconds(NOON) + 24 * 3600
    assert claim.is_live(NOON + KEY_LIFETIME)
    assert not claim.is_live(NOON + KEY_LIFETIME + timedelta(seconds=1))


def test_a_record_without_an_expiry_never_expires() -> None:
    assert IdempotencyRecord(key="key", subject="subject", fingerprint=None, expires_at=None).is_live(
        NOON.replace(year=9999)
    )


@settings(max_examples=200, deadline=None)
@given(claimants, claimants)
def test_keys_are_equal_only_for_the_same_customer_kind_and_value(
    one: tuple[str, str, RecordKind, str], other: tuple[str, str, RecordKind, str]
) -> None:
    keys = [record_key(Customer(tenant=tenant, id=name), kind, value) for tenant, name, kind, value in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)


def test_one_value_has_a_different_key_for_each_kind() -> None:
    assert len({record_key(make_customer(), kind, "7") for kind in RecordKind}) == len(RecordKind)


def test_a_record_key_is_short_and_does_not_contain_the_value() -> None:
    key = record_key(make_customer("acme", "ada"), RecordKind.REFERENCE, "PO-7" * 1000)
    assert key.startswith("acme#ada#reference#")
    assert "PO-7" not in key
    assert len(key) < 100
