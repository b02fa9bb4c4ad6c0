"""The OpenAPI document matches the code, is complete, and has one style."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

from devstack.issuer import ALL_SCOPES
from order_api.openapi.__main__ import with_table
from order_api.openapi.errors import DETAILS, SAMPLES
from order_api.openapi.headers import COMPONENTS as HEADERS
from order_api.openapi.texts import TAGS
from order_api.problems import FRAMEWORK_PROBLEMS, KINDS, VALIDATION_FAILED
from order_api.schemas import Resource
from tests.documents import assert_committed, faults, first_difference, printed_by
from tests.unit.api.described import BELOW_V1, DOCUMENT, OPERATIONS, PLACES, answer_of, media_of, operation_of

ROOT = Path(__file__).parents[3]
WITHOUT_BODY = {"304"}
UNROUTED = {kind.code for kind in FRAMEWORK_PROBLEMS.values()} - {VALIDATION_FAILED.code}
"""Problems of paths and methods without an operation."""
CLOUD_EVENTS = {"EventOut", "TenantEventOut"}
"""Structured CloudEvents, whose attributes have names of lower-case letters and digits."""
VALUES = CLOUD_EVENTS | {"AttemptOut", "MovementOut", "PaymentOut", "ReasonOut", "TimelineEntryOut"}
"""Parts of a resource that are not resources and have no `__typename`."""


ENUMS = {
    "AttemptError",
    "DeliveryState",
    "DisabledReason",
    "EndpointState",
    "EventType",
    "MovementType",
    "OrderStatus",
    "PaymentSummaryStatus",
    "ReasonCode",
}


def objects_in(schema: Any, seen: set[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return every named schema of a response, once."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            if name not in seen:
                seen.add(name)
                yield name, DOCUMENT["components"]["schemas"][name]
                yield from objects_in(DOCUMENT["components"]["schemas"][name], seen)
        else:
            for part in schema.values():
                yield from objects_in(part, seen)
    elif isinstance(schema, list):
        for part in schema:
            yield from objects_in(part, seen)


def answer_schemas() -> dict[str, dict[str, Any]]:
    """Return the schemas of every successful response of `/v1`, by name."""
    seen: set[str] = set()
    return {
        name: schema
        for operation in BELOW_V1
        for status, answer in operation_of(operation)["responses"].items()
        if status.startswith("2")
        for name, schema in objects_in(media_of(answer)["schema"], seen)
    }


@pytest.mark.parametrize("path", ["docs/openapi.json", "services/order-api/src/order_api/openapi.json"])
def test_the_committed_document_is_what_the_command_prints(path: str) -> None:
    assert_committed(path, printed_by("order_api.openapi"))


def test_the_application_serves_the_document_that_the_command_prints() -> None:
    printed = json.loads(printed_by("order_api.openapi"))
    assert first_difference(printed, DOCUMENT) is None


def test_the_service_does_not_import_what_builds_the_document() -> None:
    program = (
        "import sys, order_api.main\n"
        "built = ('order_api.openapi', 'order_shared.documents')\n"
        "assert not [name for name in sys.modules if name.startswith(built)]"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_it_is_a_valid_openapi_document() -> None:
    validate(DOCUMENT)
    assert DOCUMENT["openapi"].startswith("3.1.")


KEYWORDS = {
    "$ref", "additionalProperties", "anyOf", "const", "default", "description", "enum", "examples", "format", "items",
    "maxItems", "maxLength", "maxProperties", "maximum", "minItems", "minLength", "minimum", "not", "oneOf", "pattern",
    "properties", "propertyNames", "required", "title", "type", "uniqueItems",
}  # fmt: skip
"""The keywords of JSON Schema that the document uses. Readers ignore any other word, such as pydantic's `le`."""


def schemas_in(part: Any) -> Iterator[dict[str, Any]]:
    """Return every schema of the document, and every part of one."""
    if isinstance(part, list):
        for each in part:
            yield from schemas_in(each)
    elif isinstance(part, dict):
        for key, value in part.items():
            if key == "schema":
                yield from subschemas(value)
            elif key not in ("example", "examples"):
                yield from schemas_in(value)


def subschemas(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    for each in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("properties", {}).values()):
        yield from subschemas(each)
    for key in ("items", "additionalProperties", "not", "propertyNames"):
        if isinstance(schema.get(key), dict):
            yield from subschemas(schema[key])


def test_a_schema_has_no_keyword_that_readers_ignore() -> None:
    used = {key for schema in schemas_in(DOCUMENT) for key in schema}
    used |= {key for named in DOCUMENT["components"]["schemas"].values() for part in subschemas(named) for key in part}
    assert used <= KEYWORDS


def test_limits_of_integers_are_integers() -> None:
    named = DOCUMENT["components"]["schemas"].values()
    every = [*schemas_in(DOCUMENT), *(part for schema in named for part in subschemas(schema))]
    limits = [
        value
        for schema in every
        if schema.get("type") == "integer"
        for key, value in schema.items()
        if key in ("minimum", "maximum")
    ]
    assert {type(each) for each in limits} == {int}


def test_it_names_servers_with_absolute_addresses() -> None:
    assert [server["url"] for server in DOCUMENT["servers"]] == ["http://localhost:8000", "https://orders.example.com"]
    assert DOCUMENT["info"]["license"]["identifier"] == "Apache-2.0"
    assert DOCUMENT["info"]["contact"]["url"].startswith("https://")


# Operations


def test_tags_are_in_a_fixed_order_and_all_used() -> None:
    assert [tag["name"] for tag in DOCUMENT["tags"]] == ["orders", "tenant", "events", "webhooks", "products", "health"]
    assert all(tag["description"] for tag in TAGS)
    assert {tag for _, _, operation in OPERATIONS.values() for tag in operation["tags"]} == {
        tag["name"] for tag in TAGS
    }


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_described(name: str) -> None:
    operation = operation_of(name)
    assert re.fullmatch("[a-z]+([A-Z][a-z]+)*", name)
    assert operation["summary"]
    assert len(operation["tags"]) == 1


def test_the_description_lists_every_scope_and_every_code() -> None:
    text = DOCUMENT["info"]["description"]
    for name in (*ALL_SCOPES.split(), *KINDS):
        assert f"| `{name}` |" in text


def test_the_guide_lists_every_code() -> None:
    guide = (ROOT / "docs" / "api.md").read_text("utf-8")
    assert with_table(guide) == guide, "run `make docs`"
    assert all(f"`{code}`" in guide for code in KINDS)


# Answers and examples


@pytest.mark.parametrize(("name", "status"), PLACES)
def test_every_answer_has_a_schema_and_examples_that_fit_it(name: str, status: str) -> None:
    answer = answer_of(name, status)
    assert answer["description"] not in {"", "Successful Response"}
    if status in WITHOUT_BODY:
        assert "content" not in answer
        return
    media = media_of(answer)
    assert media["schema"]
    assert media["examples"], f"give {name} {status} an example in order_api/openapi/examples.py"
    for example in media["examples"].values():
        assert faults(DOCUMENT, media["schema"], example["value"]) == []


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_request_has_examples_that_fit(name: str) -> None:
    operation = operation_of(name)
    for parameter in operation["parameters"]:
        assert "null" not in json.dumps(parameter["schema"])
        if "example" in parameter:
            assert faults(DOCUMENT, parameter["schema"], parameter["example"]) == []
        else:
            assert not parameter.get("required"), (
                f"give {parameter['name']} an example in order_api/openapi/examples.py"
            )
    if "requestBody" in operation:
        media = media_of(operation["requestBody"])
        assert media["examples"]
        for example in media["examples"].values():
            assert faults(DOCUMENT, media["schema"], example["value"]) == []


def test_every_header_is_described_once_and_its_example_fits() -> None:
    for name, header in HEADERS.items():
        assert header["description"]
        assert faults(DOCUMENT, header["schema"], header["example"]) == [], name
    for name, status in PLACES:
        for header, said in answer_of(name, status)["headers"].items():
            assert said == {"$ref": f"#/components/headers/{header}"}, (
                f"describe {header} in order_api/openapi/headers.py"
            )


def test_every_error_of_the_code_is_in_the_document() -> None:
    shown = {
        code
        for name, status in PLACES
        if status >= "400" and "application/problem+json" in answer_of(name, status).get("content", {})
        for code in media_of(answer_of(name, status))["examples"]
    }
    assert shown == set(KINDS) - UNROUTED


def test_every_error_of_the_code_is_shown_with_words_of_its_own() -> None:
    forgotten = set(KINDS) - UNROUTED - set(SAMPLES) - set(DETAILS) - {"validation_failed"}
    assert not forgotten, "give each a sample in order_api/openapi/errors.py"


@pytest.mark.parametrize(("name", "status"), [place for place in PLACES if place[0] in BELOW_V1])
def test_every_error_example_matches_the_table_of_problems(name: str, status: str) -> None:
    if status < "400":
        return
    for code, example in media_of(answer_of(name, status))["examples"].items():
        kind, problem = KINDS[code], example["value"]
        assert str(int(kind.status)) == status
        assert (problem["code"], problem["title"], problem["status"], problem["retryable"]) == (
            code,
            kind.title,
            kind.status,
            kind.retryable,
        )
        assert problem["type"] == f"/pages/errors/{code}"


# Uniform rendering


def test_every_answer_below_v1_is_a_resource() -> None:
    models = {model.__name__ for model in _subclasses(Resource)}
    assert set(answer_schemas()) - ENUMS <= models


def test_every_resource_has_its_typename() -> None:
    names = {}
    for name, schema in answer_schemas().items():
        if schema["type"] == "object" and name not in VALUES:
            assert "__typename" in schema["required"], name
            names[name] = schema["properties"]["__typename"]["const"]
    assert names
    assert all(name.removesuffix("Out").removeprefix("Stocked") == said for name, said in names.items()), names


def test_every_field_of_a_resource_is_always_there() -> None:
    for name, schema in answer_schemas().items():
        if schema["type"] == "object":
            optional = {"data"} if name in CLOUD_EVENTS else set()
            assert set(schema["required"]) == set(schema["properties"]) - optional, name


def test_every_time_is_written_in_one_way() -> None:
    times = [
        part
        for schema in answer_schemas().values()
        for part in schema.get("properties", {}).values()
        if "date-time" in json.dumps(part)
    ]
    assert times
    for time in times:
        assert faults(DOCUMENT, time, "2026-01-31T09:05:00.000120Z") == []


def _subclasses(model: type[Resource]) -> Iterator[type[Resource]]:
    for each in model.__subclasses__():
        yield each
        yield from _subclasses(each)
