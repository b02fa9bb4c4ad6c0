"""Idempotency-Key header: quoted or unquoted, 1 to 255 printable ASCII characters."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from order_api.idempotency import MAX_KEY_LENGTH, IdempotencyKeyMissing, parse_idempotency_key

printable = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
keys = st.text(printable, min_size=1, max_size=MAX_KEY_LENGTH)
not_printable = st.characters(exclude_categories=["Cs"]).filter(lambda each: not " " <= each <= "~" and each != "\t")


def quoted(key: str) -> str:
    """Return the key as a quoted string of RFC 8941."""
    escaped = key.replace("\\", r"\\").replace('"', r"\"")
    return f'"{escaped}"'


@settings(max_examples=50, deadline=None)
@given(keys)
def test_a_quoted_key_is_unquoted(key: str) -> None:
    assert parse_idempotency_key(quoted(key)) == key


@settings(max_examples=50, deadline=None)
@given(keys.map(str.strip).filter(lambda key: key and '"' not in key))
def test_a_bare_key_is_taken_as_it_is(key: str) -> None:
    assert parse_idempotency_key(key) == key


def test_quoted_and_bare_are_the_same_key() -> None:
    assert parse_idempotency_key('"order-7"') == parse_idempotency_key("order-7") == "order-7"


def test_blanks_around_a_key_do_not_count() -> None:
    assert parse_idempotency_key(" \torder-7 \t") == parse_idempotency_key(' "order-7" ') == "order-7"


def test_blanks_within_a_key_count() -> None:
    assert parse_idempotency_key("order 7") == "order 7"
    assert parse_idempotency_key('" order 7 "') == " order 7 "


@pytest.mark.parametrize("headers", [[], [""], [" "], ["\t"], ['""'], [' "" '], ["k", "k"], ["k", "other"]])
def test_no_key_or_several_are_refused(headers: list[str]) -> None:
    with pytest.raises(IdempotencyKeyMissing):
        parse_idempotency_key(*headers)


def test_a_key_has_at_most_255_characters() -> None:
    longest = "k" * 255
    assert parse_idempotency_key(longest) == parse_idempotency_key(quoted(longest)) == longest
    for header in (longest + "k", quoted(longest + "k")):
        with pytest.raises(IdempotencyKeyMissing):
            parse_idempotency_key(header)


def test_escapes_do_not_count_towards_the_length() -> None:
    longest = '"' * 255
    assert parse_idempotency_key(quoted(longest)) == longest


@settings(max_examples=60, deadline=None)
@given(st.text(printable, max_size=5), not_printable, st.text(printable, max_size=5))
def test_a_character_that_is_not_printable_ascii_is_refused(before: str, character: str, after: str) -> None:
    for header in (before + character + after, f'"{before}{character}{after}"'):
        with pytest.raises(IdempotencyKeyMissing):
            parse_idempotency_key(header)


@pytest.mark.parametrize("header", ["\N{NO-BREAK SPACE}order-7", "order-7\x85", "\x1forder-7"])
def test_only_blanks_and_tabs_are_blank(header: str) -> None:
    with pytest.raises(IdempotencyKeyMissing):
        parse_idempotency_key(header)


def test_a_refusal_describes_a_valid_key() -> None:
    with pytest.raises(IdempotencyKeyMissing, match="1 to 255 printable ASCII"):
        parse_idempotency_key("Größe")
