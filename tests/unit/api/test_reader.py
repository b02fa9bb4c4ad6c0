"""The reader of requests: a value, or the place of the fault, from headers and bytes alone."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from order_api.reader import MAX_DIGITS, Fault, InvalidRequest, UnsupportedMediaType, read_json, read_query

JSON = [(b"content-type", b"application/json")]
REPEATABLE = {"status"}


def fault_of(body: bytes | str) -> Fault:
    with pytest.raises(InvalidRequest) as refusal:
        read_json(JSON, body.encode() if isinstance(body, str) else body, "{}")
    (fault,) = refusal.value.faults
    return fault


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
        max_leaves=10,
    ),
    st.booleans(),
)
def test_any_json_is_read(document: object, ascii_only: bool) -> None:  # noqa: FBT001 - a value of the property
    assert read_json(JSON, json.dumps(document, ensure_ascii=ascii_only).encode(), "{}") == document


@pytest.mark.parametrize(
    "value",
    [
        b"application/json",
        b"Application/JSON",
        b"application/json;charset=utf-8",
        b'application/json; charset="UTF-8"',
        b" application/json ;  profile=x",
    ],
)
def test_json_in_utf_8_may_be_declared_in_any_form(value: bytes) -> None:
    assert read_json([(b"content-encoding", b"identity"), (b"content-type", value)], b"{}", "{}") == {}


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"content-type", b"")],
        [(b"content-type", b"text/plain")],
        [(b"content-type", b"application/x-www-form-urlencoded")],
        [(b"content-type", b"application/vnd.order+json")],
        [(b"content-type", b"application/json; charset=iso-8859-1")],
        [*JSON, *JSON],
        [*JSON, (b"content-encoding", b"gzip")],
        [*JSON, (b"content-encoding", b"identity, br")],
        [(b"content-type", b"\xff\x00\x85")],
    ],
)
def test_another_media_type_or_coding_is_refused(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(UnsupportedMediaType) as refusal:
        read_json(headers, b"{}", "{}")
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize("body", [b"", b" ", b"\r\n"])
def test_an_empty_body_is_no_json_whatever_its_media_type(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="send a JSON object, such as EXAMPLE"):
        read_json([], body, "EXAMPLE")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ("{", "line 1, column 2"),
        ('{"lines":\n [}', "line 2, column 3"),
        ("{'lines': []}", "line 1, column 2"),
        ('{"a": 1,}', "line 1, column 9"),
        ("/* c */{}", "line 1, column 1"),
        ("{}x", "line 1, column 3"),
        ('{"é": 1 "b": 2}', "line 1, column 9"),
        ('{"a":"x', "line 1, column 6"),
        ('{"a":"\x01"}', "line 1, column 7"),
        ('{\r\n\t"a":"\\q"}', "line 2, column 7"),
    ],
)
def test_a_fault_of_the_syntax_has_its_line_and_column(body: str, place: str) -> None:
    fault = fault_of(body)
    assert (fault.pointer, fault.code) == ("", "json_invalid")
    assert place in fault.detail


@pytest.mark.parametrize(
    ("body", "pointer", "code", "text"),
    [
        ('{"a":1,"a":1}', "/a", "duplicate_name", "the name a twice in one object, at line 1, column 8"),
        ('{"a":1,"\\u0061":2}', "/a", "duplicate_name", "column 8"),
        ('{"l":[{},{"q~/":1,\n"q~/":2}]}', "/l/1/q~0~1", "duplicate_name", "line 2, column 1"),
        ('{"a":1,"a":2}}', "/a", "duplicate_name", "column 8"),
        ('{"q":[0,NaN]}', "/q/1", "json_invalid", "the value NaN, which JSON does not allow, at line 1, column 9"),
        ('{"q":-Infinity}', "/q", "json_invalid", "-Infinity"),
        ('{"q":%s}' % ("9" * (MAX_DIGITS + 1)), "/q", "json_invalid", f"more than {MAX_DIGITS} digits"),
        ('{"r":"a\\ud800"}', "/r", "half_character", "half of a surrogate pair"),
        ('{"\\uDC00":1}', "/\\udc00", "half_character", "half of a surrogate pair"),
        ("[" * 30_000 + "]" * 30_000, "", "json_invalid", "nested too deeply"),
    ],
)
def test_a_fault_beyond_the_syntax_has_its_place(body: str, pointer: str, code: str, text: str) -> None:
    fault = fault_of(body)
    assert (fault.pointer, fault.code) == (pointer, code)
    assert text in fault.detail


def test_equal_names_of_different_objects_are_no_duplicates() -> None:
    body = b'{"a":{"a":1},"b":[{"a":1},{"a":2}],"A":"a"}'
    assert read_json(JSON, body, "{}") == json.loads(body)


def test_a_whole_surrogate_pair_is_one_character() -> None:
    assert read_json(JSON, rb'{"r":"\ud83c\udf75"}', "{}") == {"r": "🍵"}


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ('{"r":"café"}'.encode("latin-1"), "the byte 0xe9 at line 1, column 10"),
        ('{\n"é":"é"}'.encode() + b"\xff", "the byte 0xff at line 2, column 9"),
        ("{}".encode("utf-16"), "the byte 0xff at line 1, column 1"),
    ],
)
def test_only_utf_8_is_read(body: bytes, place: str) -> None:
    fault = fault_of(body)
    assert fault.code == "not_utf8"
    assert place in fault.detail


def test_a_byte_order_mark_is_ignored() -> None:
    assert read_json(JSON, b"\xef\xbb\xbf{}", "{}") == {}


def test_a_query_is_read_in_order() -> None:
    query = b"status=a&q=caf%C3%A9+x&status=b&empty=&bare&&created_at%5Bgte%5D=1%2B1"
    assert read_query(query, REPEATABLE) == [
        ("status", "a"),
        ("q", "café x"),
        ("status", "b"),
        ("empty", ""),
        ("bare", ""),
        ("created_at[gte]", "1+1"),
    ]


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        (b"limit=1&limit=1", "query:limit", "repeated"),
        (b"limit=1&limit=2&limit=3", "query:limit", "repeated"),
        (b"lim%69t=1&limit=2", "query:limit", "repeated"),
        (b"q=%ff", "query:q", "not_utf8"),
        (b"q=%ED%A0%80", "query:q", "not_utf8"),
        (b"%ff=1", "query:\\udcff", "not_utf8"),
    ],
)
def test_a_repeated_parameter_or_another_coding_is_refused(query: bytes, pointer: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        read_query(query, REPEATABLE)
    assert [(fault.pointer, fault.code) for fault in refusal.value.faults] == [(pointer, code)]
