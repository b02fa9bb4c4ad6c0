"""The reference of the API: a page with everything in the OpenAPI document, unless an installation leaves it out."""

from collections.abc import Iterator
from typing import Any

import pytest

from order_api.pages.reference.client_samples import CLIENT_SAMPLES
from order_api.pages.reference.markdown import block, sections
from order_api.pages.reference.page import build
from order_api.pages.reference.schemas import field, type_of
from order_api.problems import KINDS
from order_pages.frame import Site
from order_shared.runtime.config import Environment
from tests.unit.api.conftest import Api, open_api
from tests.unit.api.described import BELOW_V1, DOCUMENT, OPERATIONS
from tests.unit.api.sockets import with_settings
from tests.unit.api.test_pages import Page

PAGE = Page(build(Site(name="Order API"), "/pages/api", DOCUMENT))
SHOWN = {"description", "enum", "pattern", "default", "const"}
"""Keywords of a schema whose values the page shows as they are."""
LIMITS = {"minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "maxProperties"}
OTHERS = {
    *("$ref", "additionalProperties", "anyOf", "examples", "format", "items", "not", "properties", "propertyNames"),
    *("required", "title", "type", "uniqueItems"),
}


def schemas(node: Any) -> Iterator[dict[str, Any]]:
    """Yield a schema and all schemas in it."""
    if not isinstance(node, dict):
        return
    yield node
    for keyword in ("items", "propertyNames", "additionalProperties", "not"):
        yield from schemas(node.get(keyword))
    for each in (*node.get("anyOf", ()), *node.get("properties", {}).values()):
        yield from schemas(each)


ALL_SCHEMAS = [each for schema in DOCUMENT["components"]["schemas"].values() for each in schemas(schema)]


def text_of(markdown: str) -> str:
    return " ".join(Page(str(block(markdown))).text.split())


def test_it_has_every_operation() -> None:
    for name, (method, path, operation) in OPERATIONS.items():
        assert name in PAGE.ids
        assert f"{method} {path}" in PAGE.words
        assert operation["summary"] in PAGE.words
        assert text_of(operation.get("description", "")) in PAGE.words
        for parameter in operation["parameters"]:
            assert text_of(parameter.get("description", "")) in PAGE.words


def test_headers_of_all_operations_are_described_once() -> None:
    for description in ("Subject of the customer of your tenant for whom you act", "Your id for the request"):
        assert PAGE.words.count(description) == 1
    assert PAGE.words.count("Remaining quota of your tenant") == 1
    assert PAGE.words.count("The preference of Prefer that was applied") == 2


@pytest.mark.parametrize("schema", DOCUMENT["components"]["schemas"])
def test_it_has_every_field_of_a_schema(schema: str) -> None:
    assert f"schema-{schema}" in PAGE.ids
    for name in DOCUMENT["components"]["schemas"][schema].get("properties", {}):
        assert name in PAGE.words


def test_it_shows_every_restriction() -> None:
    for schema in ALL_SCHEMAS:
        assert schema.keys() <= SHOWN | LIMITS | OTHERS, "a new keyword: show it in schemas.py"
        if "description" in schema:
            assert text_of(schema["description"]) in PAGE.words
        for value in (*schema.get("enum", ()), schema.get("pattern", "")):
            assert " ".join(str(value).split()) in PAGE.words
        for limit in LIMITS & schema.keys():
            assert f"{schema[limit]:,}" in PAGE.words


def test_its_description_is_complete_and_the_errors_come_last() -> None:
    for section in sections(DOCUMENT["info"]["description"]):
        if section.title != "Errors":
            assert text_of(section.text) in PAGE.words
    assert [name for name in PAGE.ids if not name.startswith("schema-")][-1] == "errors"
    after = PAGE.words[PAGE.words.rindex("Every error is application/problem+json") :]
    assert all(code in after for code in KINDS)


def test_every_link_of_the_page_leads_somewhere() -> None:
    anchors = {each.removeprefix("#") for each in PAGE.references if each.startswith("#")}
    assert anchors <= set(PAGE.ids)
    assert len(PAGE.ids) == len(set(PAGE.ids))
    others = {each for each in PAGE.references if not each.startswith("#")}
    assert {f"/pages/errors/{code}" for code in KINDS} <= others
    assert all(each.startswith("/pages/") for each in others)


def test_it_has_no_script() -> None:
    assert not {"script", "style", "form"} & set(PAGE.elements)


def test_every_operation_that_the_clients_have_shows_them() -> None:
    assert set(CLIENT_SAMPLES) == set(BELOW_V1)
    for sample in CLIENT_SAMPLES.values():
        assert " ".join(sample.python.split()) in PAGE.words
        assert " ".join(sample.typescript.split()) in PAGE.words


def test_html_in_a_description_is_text() -> None:
    assert "<script>" not in str(block("a <script>alert(1)</script>"))
    assert "href" not in str(block("[a](javascript:alert(1))"))


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "format": "date-time"}, "string (date-time)"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "integer or null"),
        ({"type": "array", "items": {"$ref": "#/components/schemas/OrderLineIn"}}, "array of OrderLineIn"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "object with values of type string"),
        ({"type": "string", "const": "Order"}, '"Order"'),
        ({"type": "integer", "minimum": 1, "maximum": 1000}, "1 to 1,000"),
        ({"type": "string", "minLength": 1}, "at least 1 characters"),
        ({"type": "array", "items": {"type": "string", "maxLength": 5}}, "each item at most 5 characters"),
        ({"anyOf": [{"type": "string", "maxLength": 9}, {"type": "null"}]}, "at most 9 characters"),
        ({"type": "integer", "default": 20, "examples": [5, 6]}, "default 20for example 5, 6"),
        ({"type": "string", "not": {"pattern": "^a"}}, "does not match ^a"),
        ({}, "any"),
    ],
)
def test_types_and_limits_are_in_words(schema: dict[str, Any], expected: str) -> None:
    shown = Page(str(field("name", schema, is_required=True))).text
    assert expected in shown
    assert "required" in shown
    assert str(type_of(schema))


async def test_it_is_served_with_its_document(api: Api) -> None:
    page = await api.http.get("/pages/api")
    assert page.status_code == 200
    assert page.headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert Page(page.text).elements.count("h1") == 1
    assert (await api.http.get("/pages/api")).content == page.content
    assert (await api.http.get("/pages/api/openapi.json")).json() == DOCUMENT


async def test_docs_leads_to_it_on_the_local_stack(api: Api) -> None:
    response = await api.http.get("/docs")
    assert (response.status_code, response.headers["Location"]) == (307, "/pages/api")
    assert (await api.http.get("/redoc")).status_code == 404


@pytest.mark.parametrize(
    ("env", "api_reference", "is_shown"),
    [
        (Environment.LOCAL, None, True),
        (Environment.DEV, None, True),
        (Environment.UAT, None, True),
        (Environment.PROD, None, False),
        (Environment.PROD, True, True),
        (Environment.LOCAL, False, False),
    ],
)
async def test_an_installation_can_leave_it_out(env: Environment, api_reference: bool | None, is_shown: bool) -> None:  # noqa: FBT001
    settings = with_settings(env=env, api_reference=api_reference)
    async with open_api(settings=settings) as api:
        for path in ("/pages/api", "/pages/api/openapi.json"):
            assert (await api.http.get(path)).status_code == (200 if is_shown else 404)
        assert (await api.http.get("/docs")).status_code == (307 if is_shown and env is Environment.LOCAL else 404)
        errors = await api.http.get("/pages/errors/unknown_sku")
    assert errors.status_code == 200
    assert ("/pages/api" in Page(errors.text).references) is is_shown
