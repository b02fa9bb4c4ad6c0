"""Read the body and the query of a request: pure functions from headers and bytes to a value, or to a fault.

The fast path parses a valid body once. Only a body that has a fault is scanned again, to find the place of the fault.
"""

import json
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from order_shared.domain.errors import PlatformError

MAX_DIGITS = 4300
"""Maximum number of digits of an integer; the limit of Python's `int`."""
MAX_NAME_SHOWN = 60
BOM = b"\xef\xbb\xbf"

_TOKEN = re.compile(r'(?P<string>"(?:[^"\\]|\\.)*+")\s*(?P<colon>:)?|[{}\[\],]|[^\s{}\[\],"]+')
_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")
"""Escape of half a surrogate pair. It is a fault unless the other half follows."""
_CONSTANTS = frozenset({"NaN", "Infinity", "-Infinity"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault in a request: its place, its stable code and a sentence.

    `pointer` is a JSON pointer (RFC 6901) into the body, or `query:limit`, `path:sku`, `header:if-match`.
    """

    pointer: str
    code: str
    detail: str


class InvalidRequest(PlatformError):
    """The request has faults that the caller must correct."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{fault.pointer or 'body'}: {fault.detail}" for fault in faults[:3]))
        self.faults = tuple(faults)


class UnsupportedMediaType(PlatformError):
    """The body is not declared as unencoded JSON."""


class _Duplicate(Exception):
    """An object has a name twice."""


class _NoNumber(Exception):
    """A number is NaN or infinite, which JSON does not allow."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Duplicate
    return found


def _refuse_constant(name: str) -> None:
    raise _NoNumber(name)


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)


def read_json(headers: Iterable[tuple[bytes, bytes]], body: bytes, example: str) -> Any:
    """Return the JSON value of a body. `headers` have lower-case names; `example` is a right body, shown in faults.

    Raises UnsupportedMediaType, and InvalidRequest with the line and the column of the fault.
    """
    if not body or body.isspace():
        raise InvalidRequest(
            [Fault(pointer="", code="missing", detail=f"the body is empty; send a JSON object, such as {example}")]
        )
    _check_headers(headers)
    body = body.removeprefix(BOM)
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        place = _place(body[: error.start].decode())
        detail = f"the body is not UTF-8: it has the byte 0x{body[error.start]:02x} at {place}"
        raise InvalidRequest([Fault(pointer="", code="not_utf8", detail=detail)]) from error
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise InvalidRequest([_syntax_fault(text, error.pos)]) from error
    except RecursionError as error:
        raise InvalidRequest(
            [Fault(pointer="", code="json_invalid", detail="the body is nested too deeply")]
        ) from error
    except (_Duplicate, _NoNumber, ValueError) as error:
        raise InvalidRequest(
            [_first_fault(text) or Fault(pointer="", code="json_invalid", detail="the body is not valid JSON")]
        ) from error
    if "\\u" in text and _HALF_PAIR.search(text) and (fault := _first_fault(text)):
        raise InvalidRequest([fault])
    return value


def read_query(query: bytes, repeatable: Collection[str]) -> list[tuple[str, str]]:
    """Return the parameters of a query string in order. Only the `repeatable` ones may occur several times.

    Raises InvalidRequest for a parameter that is repeated or not UTF-8.
    """
    found: list[tuple[str, str]] = []
    faults: list[Fault] = []
    seen: set[str] = set()
    for part in query.split(b"&") if query else ():
        if not part:
            continue
        raw_name, _, raw_value = part.replace(b"+", b" ").partition(b"=")
        name, value = (unquote_to_bytes(each).decode(errors="surrogateescape") for each in (raw_name, raw_value))
        if not _is_text(name) or not _is_text(value):
            shown = shorten(name)
            faults.append(
                Fault(
                    pointer=f"query:{shown}",
                    code="not_utf8",
                    detail=f"percent-encode the parameter {shown} as UTF-8, such as %C3%A9 for é",
                )
            )
        elif name in seen and name not in repeatable:
            shown = shorten(name)
            detail = f"the parameter {shown} occurs more than once; send it once"
            faults.append(Fault(pointer=f"query:{shown}", code="repeated", detail=detail))
        seen.add(name)
        found.append((name, value))
    if faults:
        raise InvalidRequest(list({fault.pointer: fault for fault in faults}.values()))
    return found


def shorten(text: str) -> str:
    """Return a caller's text for a sentence: at most MAX_NAME_SHOWN characters, each of them printable."""
    shown = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text[:MAX_NAME_SHOWN])
    return shown if len(text) <= MAX_NAME_SHOWN else f"{shown}…"


def escape_pointer(name: str) -> str:
    """Return a name as a part of a JSON pointer (RFC 6901), shortened like any text of a caller."""
    return shorten(name).replace("~", "~0").replace("/", "~1")


def _check_headers(headers: Iterable[tuple[bytes, bytes]]) -> None:
    types = []
    for name, value in headers:
        if name == b"content-type":
            types.append(value)
        elif name == b"content-encoding" and value.strip().lower() not in {b"", b"identity"}:
            raise UnsupportedMediaType("send the body without Content-Encoding; compressed bodies are not supported")
    if types == [b"application/json"]:
        return
    if len(types) != 1:
        raise UnsupportedMediaType("send the header Content-Type: application/json, once")
    media_type, *parameters = types[0].decode("latin-1").lower().split(";")
    if media_type.strip() != "application/json":
        sent = shorten(media_type.strip())
        raise UnsupportedMediaType(f"send JSON with the header Content-Type: application/json; {sent} is not supported")
    pairs = (each.partition("=") for each in parameters)
    charsets = {value.strip(' "') for name, _, value in pairs if name.strip() == "charset"}
    if not charsets <= {"utf-8", "utf8"}:
        raise UnsupportedMediaType("send the body in UTF-8, with the header Content-Type: application/json")


def _is_text(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= each <= "\udfff" for each in text)


def _place(before: str) -> str:
    """Return the line and the column, counted from 1, of the character after `before`."""
    return f"line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"


def _syntax_fault(text: str, position: int) -> Fault:
    if position >= len(text):
        found = "ends too early"
    elif text[position] == '"' and not _TOKEN.match(text, position):
        found = "has a string without an end"
    else:
        found = f"has {_shown(text[position])} where it is not allowed"
    return Fault(
        pointer="", code="json_invalid", detail=f"the body is not valid JSON: at {_place(text[:position])} it {found}"
    )


def _shown(character: str) -> str:
    return character if character.isprintable() and character != " " else f"U+{ord(character):04X}"


@dataclass(slots=True)
class _Container:
    """Object or array during a scan. `names` is None for an array; `part` is the current name or index."""

    names: set[str] | None
    part: str | int = 0


def _first_fault(text: str) -> Fault | None:
    """Return the first repeated name, number that JSON lacks, or half of a surrogate pair.

    Up to this fault the text is JSON.
    """
    stack: list[_Container] = []
    for token in _TOKEN.finditer(text):
        word, here = token.group(), stack[-1] if stack else _Container(None)
        if word in "{[":
            stack.append(_Container(set() if word == "{" else None))
        elif word in "}]":
            del stack[-1:]
        elif word == "," and isinstance(here.part, int):
            here.part += 1
        elif what := _fault_of(token, here):
            pointer = "".join(f"/{escape_pointer(str(container.part))}" for container in stack)
            code, detail = what
            return Fault(
                pointer=pointer, code=code, detail=f"the body has {detail}, at {_place(text[: token.start()])}"
            )
    return None


def _fault_of(token: re.Match[str], here: _Container) -> tuple[str, str] | None:
    """Return the code and the description of a fault in a name or a value."""
    word, string = token.group(), token["string"]
    if string is not None:
        value = json.loads(string)
        if token["colon"] and here.names is not None:
            here.part = value
            if value in here.names:
                return "duplicate_name", f"the name {shorten(value)} twice in one object"
            here.names.add(value)
        return None if _is_text(value) else ("half_character", "half of a surrogate pair, which is no character")
    if word in _CONSTANTS:
        return "json_invalid", f"the value {word}, which JSON does not allow"
    if len(word) > MAX_DIGITS:
        return "json_invalid", f"a number of more than {MAX_DIGITS} digits"
    return None
