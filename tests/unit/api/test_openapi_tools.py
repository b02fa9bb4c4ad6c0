"""Forms of the OpenAPI document that generators of clients need. Each form broke one of them."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import re2  # type: ignore[import-untyped]

from order_api.idempotency import MAX_KEY_LENGTH, IdempotencyKeyMissing, parse_idempotency_key
from order_api.openapi.operations import KEY_PATTERN
from order_shared.runtime.validation import first_control
from tests.documents import faults
from tests.unit.api.described import BELOW_V1, DOCUMENT, OPERATIONS, PLACES, answer_of, operation_of

SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]


def parts_in(part: Any) -> Iterator[dict[str, Any]]:
    """Return every object of the document except examples."""
    if isinstance(part, list):
        for each in part:
            yield from parts_in(each)
    elif isinstance(part, dict):
        yield part
        for key, value in part.items():
            if key not in ("example", "examples"):
                yield from parts_in(value)


def parameters() -> Iterator[dict[str, Any]]:
    for name in OPERATIONS:
        yield from operation_of(name)["parameters"]


def property_of(schema: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = SCHEMAS[schema]["properties"][name]
    return found


class TestHeaders:
    def test_a_header_of_a_request_is_a_string(self) -> None:
        headers = [parameter for parameter in parameters() if parameter["in"] == "header"]
        assert {header["name"] for header in headers} >= {"If-Match", "If-None-Match", "Prefer"}
        assert {header["schema"]["type"] for header in headers} == {"string"}
        assert all(isinstance(header["example"], str) for header in headers if "example" in header)

    @pytest.mark.parametrize("name", ["If-Match", "If-None-Match"])
    def test_an_etag_has_its_pattern(self, name: str) -> None:
        schema = next(parameter["schema"] for parameter in parameters() if parameter["name"] == name)
        for value in ('"1"', 'W/"1"', '"1", "2"', "*"):
            assert faults(DOCUMENT, schema, value) == []
        for value in ("1", "", '["1"]', '"1'):
            assert faults(DOCUMENT, schema, value) != []

    @pytest.mark.parametrize("name", ["ETag", "Location", "X-Request-Id"])
    def test_a_header_that_is_always_there_is_required(self, name: str) -> None:
        assert DOCUMENT["components"]["headers"][name]["required"] is True

    def test_no_header_is_required_that_may_be_missing(self) -> None:
        required = {name for name, header in DOCUMENT["components"]["headers"].items() if header.get("required")}
        assert required == {"ETag", "Location", "X-Request-Id"}


@pytest.mark.parametrize("name", ["total", "amount", "unit_price", "available", "delta", "version", "current_version"])
def test_amounts_and_counts_have_64_bits(name: str) -> None:
    """An order of 10,000,000,000 could be placed and never be read with 32 bits."""
    fields = [schema["properties"][name] for schema in SCHEMAS.values() if name in schema.get("properties", {})]
    assert fields
    for field in fields:
        (integer,) = (part for part in parts_in(field) if part.get("type") == "integer")
        assert integer["format"] == "int64"


def test_a_constant_has_a_type() -> None:
    constants = [part for part in parts_in(DOCUMENT) if "const" in part and part != {"const": 0}]
    assert constants
    assert all("type" in part for part in constants)


def test_a_time_has_no_pattern() -> None:
    times = [part for part in parts_in(DOCUMENT) if part.get("format") == "date-time"]
    assert times
    assert not any("pattern" in part for part in times)


def test_every_pattern_works_in_every_engine() -> None:
    """RE2, the engine of Go, has no look-ahead and no escapes of four digits."""
    patterns = {part["pattern"] for part in parts_in(DOCUMENT) if isinstance(part.get("pattern"), str)}
    assert len(patterns) >= 5
    for pattern in patterns:
        re2.compile(pattern)
        re.compile(pattern)
        assert "\\u" not in pattern


def test_the_pattern_of_idempotency_keys_fits_the_check() -> None:
    longest = "k" * MAX_KEY_LENGTH
    for key in ("k", '"', "k k", '"k"', 'k"', '"k', longest, '"' + "k" * (MAX_KEY_LENGTH - 2) + '"'):
        assert re2.fullmatch(KEY_PATTERN, key)
        assert parse_idempotency_key(key)
    for key in ("", " ", '""', " k", "k ", longest + "k", "ä"):
        assert not re2.fullmatch(KEY_PATTERN, key)
    with pytest.raises(IdempotencyKeyMissing):
        parse_idempotency_key('""')


def test_texts_have_a_pattern_that_allows_what_the_check_allows() -> None:
    pattern = property_of("ProductIn", "name")["pattern"]
    for code in range(0x3000):
        if first_control(f"a{chr(code)}") is None:
            assert re2.fullmatch(pattern, f"a{chr(code)}"), hex(code)


class TestHealth:
    @pytest.mark.parametrize("name", ["healthz", "serving", "readyz", "metrics"])
    def test_it_needs_no_token(self, name: str) -> None:
        assert operation_of(name)["security"] == []

    @pytest.mark.parametrize(
        ("name", "schema"), [("healthz", "Liveness"), ("serving", "Serving"), ("readyz", "Readiness")]
    )
    def test_its_responses_are_named(self, name: str, schema: str) -> None:
        for status in {"200", "503"} & operation_of(name)["responses"].keys():
            media = answer_of(name, status)["content"]["application/json"]
            assert media["schema"] == {"$ref": f"#/components/schemas/{schema}"}


def test_the_sort_is_an_enum() -> None:
    (sort,) = (each["schema"] for each in operation_of("listOrders")["parameters"] if each["name"] == "sort")
    assert (sort["enum"], sort["default"]) == (["-created_at", "created_at"], "-created_at")


def test_a_problem_always_has_errors() -> None:
    assert "errors" in SCHEMAS["Problem"]["required"]


def test_an_error_that_operations_share_is_in_the_document_once() -> None:
    written = Counter(str(operation_of(name)["responses"][status]) for name, status in PLACES if status >= "400")
    assert [response for response, times in written.items() if times > 1 and "$ref" not in response[:10]] == []


@pytest.mark.parametrize("name", BELOW_V1)
def test_an_operation_describes_errors_that_it_does_not_list(name: str) -> None:
    assert answer_of(name, "default")["content"]["application/problem+json"]["schema"] == {
        "$ref": "#/components/schemas/Problem"
    }


def test_tools_can_find_the_issuer() -> None:
    scheme = DOCUMENT["components"]["securitySchemes"]["openIdConnect"]
    assert scheme["type"] == "openIdConnect"
    assert scheme["openIdConnectUrl"].endswith("/.well-known/openid-configuration")
