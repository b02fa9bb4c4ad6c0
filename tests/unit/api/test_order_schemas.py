"""Order bodies and queries: strict types, merged lines, and limits after merging."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from order_api.order.schemas import OrderIn, OrderQuery
from order_shared.domain.order.models import MAX_LINES, MAX_QUANTITY, MAX_REFERENCE_LENGTH, OrderStatus

LINE = {"sku": "TEA", "quantity": 1}

skus = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
lines = st.lists(st.tuples(st.sampled_from(["TEA", "CUP", "tea", "T.E-A_1"]), st.integers(1, 20)), min_size=1)


def body(*pairs: tuple[object, object], **fields: object) -> dict[str, object]:
    return {"lines": [{"sku": sku, "quantity": quantity} for sku, quantity in pairs], **fields}


def faults_of(document: object) -> list[tuple[str, str]]:
    """Return location and type of each error in the body."""
    with pytest.raises(ValidationError) as refusal:
        OrderIn.model_validate(document)
    return [(".".join(map(str, fault["loc"])), fault["type"]) for fault in refusal.value.errors()]


@settings(max_examples=50, deadline=None)
@given(lines)
def test_lines_of_one_sku_are_merged(wanted: list[tuple[str, int]]) -> None:
    quantities = OrderIn.model_validate(body(*wanted)).quantities
    assert sum(quantities.values()) == sum(quantity for _, quantity in wanted)
    assert all(units == sum(q for sku, q in wanted if sku == name) for name, units in quantities.items())


def test_the_first_mention_gives_the_place() -> None:
    order = OrderIn.model_validate(body(("TEA", 1), ("CUP", 2), ("TEA", 3)))
    assert list(order.quantities.items()) == [("TEA", 4), ("CUP", 2)]


def test_many_lines_of_few_products_are_one_order() -> None:
    order = OrderIn.model_validate(body(*[("TEA", 1), ("CUP", 1)] * 200))
    assert order.quantities == {"TEA": 200, "CUP": 200}


def test_the_limit_of_lines_holds_after_merging() -> None:
    most = [(f"SKU-{number}", 1) for number in range(MAX_LINES)]
    assert len(OrderIn.model_validate(body(*most, most[0])).quantities) == MAX_LINES == 50
    assert faults_of(body(*most, ("ONE-MORE", 1))) == [("", "too_many_lines")]


def test_the_limit_of_units_holds_after_merging() -> None:
    assert OrderIn.model_validate(body(("TEA", MAX_QUANTITY - 1), ("TEA", 1))).quantities == {"TEA": 1000}
    assert faults_of(body(("TEA", MAX_QUANTITY), ("TEA", 1))) == [("", "too_many_units")]


def test_an_order_has_lines() -> None:
    assert faults_of(body()) == [("lines", "too_short")]
    assert faults_of({}) == [("lines", "missing")]


@settings(max_examples=50, deadline=None)
@given(skus)
def test_every_sku_of_the_documented_form_is_taken(sku: str) -> None:
    assert OrderIn.model_validate(body((sku, 1))).quantities == {sku: 1}


@pytest.mark.parametrize("sku", ["", "-TEA", ".TEA", "TEA\n", "TEA ", "T#A", "T/A", "TÉA", "x" * 65])
def test_another_form_of_sku_is_refused(sku: str) -> None:
    assert faults_of(body((sku, 1))) == [("lines.0.sku", "string_pattern_mismatch")]


@pytest.mark.parametrize("sku", [None, 7, True, ["TEA"], {"sku": "TEA"}, b"TEA"])
def test_a_sku_is_text(sku: object) -> None:
    assert faults_of(body((sku, 1))) == [("lines.0.sku", "string_type")]


@pytest.mark.parametrize("quantity", [0, -1, MAX_QUANTITY + 1, 10**30])
def test_a_quantity_is_from_1_to_1000(quantity: int) -> None:
    assert [where for where, _ in faults_of(body(("TEA", quantity)))] == ["lines.0.quantity"]


@pytest.mark.parametrize("quantity", ["2", 2.5, True, None, [2], float("nan"), float("inf")])
def test_a_quantity_is_a_whole_number_and_nothing_like_it(quantity: object) -> None:
    assert [where for where, _ in faults_of(body(("TEA", quantity)))] == ["lines.0.quantity"]


def test_two_point_nought_is_two() -> None:
    """JSON has no integer type."""
    assert OrderIn.model_validate(body(("TEA", 2.0))).quantities == {"TEA": 2}


@pytest.mark.parametrize("document", [None, 7, "order", [], [LINE], {"lines": LINE}, {"lines": ["TEA"]}])
def test_a_body_of_another_shape_is_refused(document: object) -> None:
    assert faults_of(document)


def test_unknown_fields_are_refused_at_every_level() -> None:
    assert faults_of(body(("TEA", 1), price=1)) == [("price", "extra_forbidden")]
    assert faults_of({"lines": [LINE | {"unit_price": 1}]}) == [("lines.0.unit_price", "extra_forbidden")]


def test_internal_fields_cannot_be_sent() -> None:
    assert faults_of(body(("TEA", 1), _quantities={"TEA": 0})) == [("_quantities", "extra_forbidden")]


@pytest.mark.parametrize("reference", ["x", "PO-2026-0042", "Größe 7", "茶", "🍵" * MAX_REFERENCE_LENGTH, None])
def test_a_reference_is_any_short_text(reference: str | None) -> None:
    assert OrderIn.model_validate(body(("TEA", 1), reference=reference)).reference == reference


@pytest.mark.parametrize(
    "reference",
    ["", "x" * (MAX_REFERENCE_LENGTH + 1), "a\nb", "a\x00b", "a\ufffe", "\uffffb", "a\x7f", "a\n", 7, ["a"]],
)
def test_a_reference_that_is_empty_long_or_not_printable_is_refused(reference: object) -> None:
    assert [where for where, _ in faults_of(body(("TEA", 1), reference=reference))] == ["reference"]


@pytest.mark.parametrize("escape", [r"\ud800", r"\udfff", r"a\ud800b", r"\udc00\ud800"])
def test_half_a_surrogate_pair_is_refused(escape: str) -> None:
    """JSON can express it, but it cannot be stored as text."""
    half = json.loads(f'"{escape}"')
    assert faults_of(body(("TEA", 1), reference=half)) == [("reference", "string_unicode")]
    assert faults_of(body((half, 1))) == [("lines.0.sku", "string_unicode")]


def test_half_a_surrogate_pair_as_a_field_s_name_is_refused() -> None:
    assert faults_of(body(("TEA", 1), **{json.loads(r'"\ud800"'): 1}))


def test_a_whole_surrogate_pair_is_one_character() -> None:
    tea = json.loads(r'"\ud83c\udf75"')
    assert OrderIn.model_validate(body(("TEA", 1), reference=tea)).reference == "🍵"


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
        lambda children: (
            st.lists(children, max_size=3)
            | st.dictionaries(st.sampled_from(["lines", "sku", "quantity", "reference"]), children, max_size=4)
        ),
        max_leaves=10,
    )
)
def test_any_json_is_an_order_within_the_limits_or_refused(document: Any) -> None:
    try:
        quantities = OrderIn.model_validate(document).quantities
    except ValidationError:
        return
    assert 1 <= len(quantities) <= MAX_LINES
    assert all(1 <= units <= MAX_QUANTITY for units in quantities.values())


def test_a_query_may_be_empty() -> None:
    query = OrderQuery.model_validate({})
    assert (query.sort, query.limit, query.cursor) == ("-created_at", 20, None)
    assert (query.created_at_gte, query.created_at_lt, query.status, query.q) == (None, None, frozenset(), None)


def test_a_status_counts_once_however_often_it_is_named() -> None:
    query = OrderQuery.model_validate({"status": ["pending", "rejected", "pending"]})
    assert query.status == {OrderStatus.PENDING, OrderStatus.REJECTED}


@pytest.mark.parametrize("q", ["x", "Größe 7", "🍵", " ", "%", "x" * MAX_REFERENCE_LENGTH])
def test_a_whole_reference_can_be_searched_for(q: str) -> None:
    assert OrderQuery.model_validate({"q": q}).q == q


def test_times_of_a_query_are_read_as_utc() -> None:
    query = OrderQuery.model_validate({"created_at[gte]": "2026-01-31T09:05:00+05:30"})
    assert query.created_at_gte == datetime(2026, 1, 31, 3, 35, tzinfo=UTC)
    assert query.created_at_gte.tzinfo is UTC


@pytest.mark.parametrize(
    "time",
    [
        "",
        "yesterday",
        "2026-01-31T09:05:00",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+01:00",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "10000-01-01T00:00:00Z",
    ],
)
def test_a_time_without_zone_or_out_of_range_is_refused(time: str) -> None:
    with pytest.raises(ValidationError):
        OrderQuery.model_validate({"created_at[lt]": time})


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "many"},
        {"page": "2"},
        {"sort": "x" * 61},
        {"status": ["pending", "lost"]},
        {"status": [""]},
        {"q": ""},
        {"q": "x" * (MAX_REFERENCE_LENGTH + 1)},
        {"q": "a\x00b"},
    ],
)
def test_a_query_out_of_bounds_or_unknown_is_refused(query: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        OrderQuery.model_validate(query)


def test_thousands_of_wrong_lines_are_one_fault() -> None:
    assert faults_of({"lines": [0] * 10_000}) == [("lines", "too_long")]
