"""Pages of the problem codes: one for each, for people, safe and readable anywhere."""

import json
from html.parser import HTMLParser

import pytest

from order_api.pages.texts import EXPLANATIONS
from order_api.problems import KINDS
from tests.unit.api.conftest import Api, open_api, problem_of
from tests.unit.api.described import problem_example
from tests.unit.api.sockets import exchange, problem_in, serving, with_settings

POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Page(HTMLParser):
    """Elements, references and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.references: list[str] = []
        self.ids: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(html.encode().decode())  # a plain text: Markup would escape its parts again

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.references += [value or "" for name, value in attrs if name in {"href", "src"}]

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def words(self) -> str:
        """Return the text with single blanks."""
        return " ".join(self.text.split())


@pytest.mark.parametrize("code", KINDS)
async def test_every_code_has_its_page(api: Api, code: str) -> None:
    response = await api.http.get(f"/pages/errors/{code}")
    assert (response.status_code, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    page = Page(response.text)
    for text in (KINDS[code].title, code, EXPLANATIONS[code].cause, EXPLANATIONS[code].remedy):
        assert text in page.text
    assert all(response.headers[name] == value for name, value in HEADERS.items())
    assert page.elements.count("h1") == page.elements.count("main") == 1
    assert not {"script", "style", "form"} & set(page.elements)
    assert not [name for name in page.attributes if name.startswith("on") or name == "style"]
    assert all(reference.startswith(("/pages/", "#")) for reference in page.references)
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in response.text
    for reference in page.references:
        assert reference.startswith("#") or (await api.http.get(reference)).status_code == 200


async def test_a_page_shows_an_example_of_its_error(api: Api) -> None:
    page = Page((await api.http.get("/pages/errors/unknown_sku")).text)
    assert json.loads(page.text[page.text.index("{") : page.text.rindex("}") + 1]) == problem_example(
        "placeOrder", "422", "unknown_sku"
    )


async def test_the_list_has_every_code(api: Api) -> None:
    page = Page((await api.http.get("/pages/errors")).text)
    assert {f"/pages/errors/{code}" for code in KINDS} <= set(page.references)


def test_every_explanation_is_of_a_code() -> None:
    assert EXPLANATIONS.keys() == KINDS.keys()


async def test_an_unknown_code_is_a_page_too_and_is_escaped(api: Api) -> None:
    response = await api.http.get("/pages/errors/%3Cscript%3Ealert(1)%3C%2Fscript%3E")
    assert response.status_code == 404
    response = await api.http.get("/pages/errors/%3Cscript%3Ealert(1)")
    assert response.status_code == 404
    assert "script" not in Page(response.text).elements
    assert "<script>alert(1)" in Page(response.text).text
    assert all(response.headers[name] == value for name, value in HEADERS.items())


async def test_a_static_file_that_does_not_exist_is_a_problem(api: Api) -> None:
    response = await api.http.get("/pages/static/gone.css")
    problem_of(response, 404, "not_found")
    assert all(response.headers[name] == value for name, value in HEADERS.items())


async def test_only_pages_have_the_headers_of_pages(api: Api) -> None:
    assert "Content-Security-Policy" not in (await api.http.get("/v1/orders", headers=api.headers())).headers


async def test_the_type_of_a_problem_is_its_page(api: Api) -> None:
    problem = problem_of(await api.http.get("/v1/orders"), 401, "unauthenticated")
    assert problem["type"] == "/pages/errors/unauthenticated"
    assert (await api.http.get(problem["type"])).status_code == 200


async def test_the_type_has_the_public_address() -> None:
    settings = with_settings(public_address="https://orders.example.com")
    async with open_api(settings=settings) as api:
        problem = (await api.http.get("/v1/orders")).json()
    assert problem["type"] == "https://orders.example.com/pages/errors/unauthenticated"


async def test_a_request_that_is_no_http_gets_the_public_address_too() -> None:
    async with serving(public_address="https://orders.example.com") as port:
        problem = problem_in(await exchange(port, b"what is this?\r\n\r\n"))
    assert problem["type"] == "https://orders.example.com/pages/errors/malformed_request"
