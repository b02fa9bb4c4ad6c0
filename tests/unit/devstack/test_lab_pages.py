"""Web application of the Lab: who may use it, and what its forms refuse."""

from collections.abc import AsyncIterator
from http import HTTPStatus

import httpx2
import pytest
import pytest_asyncio

from tests.browser.local_pages import open_local_pages

LAB = "/pages/lab"


@pytest_asyncio.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with open_local_pages() as address, httpx2.AsyncClient(base_url=address) as http:
        yield http


def own(http: httpx2.AsyncClient) -> dict[str, str]:
    return {"Origin": str(http.base_url).rstrip("/")}


async def test_only_our_own_host_names_are_served(http: httpx2.AsyncClient) -> None:
    port = http.base_url.port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}"):
        assert (await http.get(LAB, headers={"Host": host})).status_code == HTTPStatus.OK
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1:{port}.evil.example"):
        for path in ("/", LAB, f"{LAB}/figures", "/pages/start"):
            assert (await http.get(path, headers={"Host": host})).status_code == HTTPStatus.MISDIRECTED_REQUEST


async def test_forms_of_other_sites_are_refused(http: httpx2.AsyncClient) -> None:
    foreign: list[dict[str, str]] = [
        {},
        {"Origin": "http://evil.example"},
        {**own(http), "Sec-Fetch-Site": "cross-site"},
    ]
    for headers in foreign:
        for action in ("orders", "kill", "suspend", "poison", "new"):
            refused = await http.post(f"{LAB}/{action}", data={"count": "100"}, headers=headers)
            assert refused.status_code == HTTPStatus.FORBIDDEN


async def test_a_form_leads_to_its_result(http: httpx2.AsyncClient) -> None:
    answer = await http.post(f"{LAB}/orders", data={"count": "100"}, headers=own(http))
    assert answer.status_code == HTTPStatus.SEE_OTHER
    assert answer.headers["location"].endswith("#result")
    page = await http.get(answer.headers["location"])
    assert "100 customers are placing one order each" in page.text


@pytest.mark.parametrize(
    ("action", "form"),
    [
        ("orders", {"count": "1000000"}),
        ("orders", {}),
        ("kill", {"name": "emulator"}),
        ("kill", {"name": "../order-api"}),
        ("suspend", {"name": "order-api"}),
        ("kill", {"name": "x" * 5000}),
    ],
)
async def test_what_no_page_offers_is_refused(http: httpx2.AsyncClient, action: str, form: dict[str, str]) -> None:
    assert (await http.post(f"{LAB}/{action}", data=form, headers=own(http))).status_code == HTTPStatus.BAD_REQUEST


async def test_a_get_changes_nothing(http: httpx2.AsyncClient) -> None:
    for action in ("orders", "kill", "suspend", "poison", "new"):
        assert (await http.get(f"{LAB}/{action}")).status_code == HTTPStatus.METHOD_NOT_ALLOWED


async def test_an_unknown_result_is_left_out(http: httpx2.AsyncClient) -> None:
    for number in ("99", "-1", "x", "²"):
        page = await http.get(f"{LAB}?done={number}")
        assert page.status_code == HTTPStatus.OK
        assert 'id="result"' not in page.text


async def test_the_root_leads_to_the_start_page_with_commands(http: httpx2.AsyncClient) -> None:
    answer = await http.get("/", follow_redirects=True)
    assert answer.url.path == "/pages/start"
    assert "/v1/orders" in answer.text
