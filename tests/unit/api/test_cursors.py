"""Cursors are valid only for the query that returned them."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from order_api.cursors import MAX_CURSOR_LENGTH, CursorCodec, InvalidCursor

OLD, NEW, OTHER = "the-old-secret-01", "the-new-secret-02", "another-secret-03"
SCOPE = {"list": "orders", "customer": "acme#ada", "sort": "-created_at"}
ALPHABET = string.ascii_letters + string.digits + "-_."

texts = st.text(max_size=20)
scopes = st.dictionaries(texts, texts, max_size=4)


def codec(*secrets: str) -> CursorCodec:
    return CursorCodec(secrets or (NEW,))


def cursor_to(position: str, scope: dict[str, str], signer: CursorCodec | None = None) -> str:
    """Return the cursor of a page that ends at this position."""
    cursor = (signer or codec()).page([position, "one more"], 1, scope, str).next_cursor
    assert cursor is not None
    return cursor


def is_refused(cursor: str, scope: dict[str, str] | None = None) -> bool:
    try:
        codec().decode(cursor, SCOPE if scope is None else scope)
    except InvalidCursor:
        return True
    return False


@settings(max_examples=40, deadline=None)
@given(texts, scopes)
def test_a_cursor_leads_back_to_its_position(position: str, scope: dict[str, str]) -> None:
    assert codec().decode(cursor_to(position, scope), scope) == position


@settings(max_examples=40, deadline=None)
@given(scopes, scopes)
def test_a_cursor_holds_for_its_own_scope_only(one: dict[str, str], other: dict[str, str]) -> None:
    assert is_refused(cursor_to("here", one), other) == (one != other)


@pytest.mark.parametrize("part", list(SCOPE))
def test_another_customer_filter_or_sort_is_refused(part: str) -> None:
    cursor = cursor_to("here", SCOPE)
    assert is_refused(cursor, SCOPE | {part: "another"})
    assert is_refused(cursor, {name: value for name, value in SCOPE.items() if name != part})


def test_the_order_in_which_a_scope_is_named_does_not_matter() -> None:
    turned = {name: SCOPE[name] for name in reversed(SCOPE)}
    assert codec().decode(cursor_to("here", SCOPE), turned) == "here"


def test_a_change_of_any_character_is_refused() -> None:
    cursor = cursor_to("2026-01-31T09:05:00.000120Z", SCOPE)
    changed = [
        cursor[:index] + character + cursor[index + 1 :]
        for index in range(len(cursor) - 1)
        for character in ALPHABET
        if character != cursor[index]
    ]
    assert [each for each in changed if not is_refused(each)] == []


def test_a_change_of_the_last_character_leads_nowhere_else() -> None:
    """The two lowest bits of the last character are unused: base64 encodes six bits, and 160 bits are signed."""
    cursor = cursor_to("here", SCOPE)
    for character in ALPHABET:
        changed = cursor[:-1] + character
        assert is_refused(changed) or codec().decode(changed, SCOPE) == "here"


def test_a_shortened_cursor_is_refused() -> None:
    cursor = cursor_to("here", SCOPE)
    assert all(is_refused(cursor[:length]) for length in range(len(cursor)))


def test_the_parts_of_two_cursors_do_not_fit_together() -> None:
    here, there = (cursor_to(position, SCOPE).split(".") for position in ("here", "there"))
    assert is_refused(f"{here[0]}.{there[1]}")


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=100))
def test_a_malformed_cursor_is_refused(text: str) -> None:
    assert is_refused(text)


def test_another_secret_s_cursor_is_refused() -> None:
    assert is_refused(cursor_to("here", SCOPE, codec(OTHER)))


def test_an_older_secret_still_verifies() -> None:
    assert codec(NEW, OLD).decode(cursor_to("here", SCOPE, codec(OLD)), SCOPE) == "here"


def test_the_first_secret_signs() -> None:
    assert codec(NEW).decode(cursor_to("here", SCOPE, codec(NEW, OLD)), SCOPE) == "here"


def test_a_secret_that_was_taken_away_verifies_no_more() -> None:
    assert is_refused(cursor_to("here", SCOPE, codec(OLD, NEW)))


@settings(max_examples=40, deadline=None)
@given(st.lists(texts, max_size=5), st.integers(1, 5))
def test_a_page_has_a_cursor_to_its_last_item_exactly_if_there_are_more(found: list[str], limit: int) -> None:
    page = codec().page(found, limit, SCOPE, str)
    assert page.items == found[:limit]
    assert (page.next_cursor is not None) == (len(found) > limit)
    if page.next_cursor is not None:
        assert codec().decode(page.next_cursor, SCOPE) == page.items[-1]


def test_a_cursor_is_opaque_and_fits_its_bound() -> None:
    cursor = cursor_to("x" * 64, SCOPE)  # a SKU, the longest of positions
    assert len(cursor) <= MAX_CURSOR_LENGTH
    assert set(cursor) <= set(ALPHABET)
    assert "acme" not in cursor
