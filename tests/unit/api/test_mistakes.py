"""Mistakes of people who integrate, and the sentence that each of them gets."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from jwt import api_jws
from pydantic import BaseModel
from pydantic_core._pydantic_core import list_all_errors

from devstack.issuer import ALL_SCOPES, AUDIENCE, ISSUER, KEY_ID
from order_api.order.schemas import OrderIn, OrderQuery
from order_api.product.schemas import ProductIn, StockIn
from order_api.schemas import PageQuery
from order_api.sentences import RULES, faults_of
from order_shared.domain.clock import utc_now
from tests.unit.api.conftest import Api, issuer, open_api

TEA = "TEA-GREEN-100"
LINE = {"sku": TEA, "quantity": 1}
ORDERS = ("POST", "/v1/orders")
LIST = ("GET", "/v1/orders")
PRODUCT = ("PUT", "/v1/products/NEW")
STOCK = ("POST", f"/v1/products/{TEA}/stock")
UNKNOWN_ID = ("GET", "/v1/orders/123")
NEW = {"name": "New", "unit_price": 1, "currency": "EUR"}


@dataclass(frozen=True)
class Mistake:
    """A request, and the error that it gets: status, code, the sentence, and the pointers of its errors."""

    route: tuple[str, str]
    status: int
    code: str
    sentence: str
    pointers: tuple[str, ...] = ()
    body: Any = None
    raw: bytes | None = None
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    token: str | None = None


def order(sentence: str, *pointers: str, status: int = 400, code: str = "validation_failed", **body: Any) -> Mistake:
    return Mistake(ORDERS, status, code, sentence, pointers, body={"lines": [LINE], **body})


def line(sentence: str, **fields: Any) -> Mistake:
    (name,) = fields
    return order(sentence, f"/lines/0/{name}", lines=[{**LINE, **fields}])


def raw(sentence: str, content: bytes, **more: Any) -> Mistake:
    return Mistake(ORDERS, 400, "validation_failed", sentence, ("",), raw=content, **more)


def listed(sentence: str, query: str, pointer: str, code: str = "validation_failed") -> Mistake:
    return Mistake(LIST, 400, code, sentence, (pointer,), query=query)


def product(sentence: str, pointer: str, **fields: Any) -> Mistake:
    return Mistake(PRODUCT, 400, "validation_failed", sentence, (pointer,), body={**NEW, **fields})


def token_of(header: dict[str, Any] | None = None, **claims: Any) -> str:
    now = utc_now().timestamp()
    said = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ada",
        "tenant": "acme",
        "scope": ALL_SCOPES,
        "iat": int(now),
        "exp": int(now) + 600,
    }
    payload = json.dumps({**said, **claims}).encode()  # PyJWT would refuse some wrong claims
    return api_jws.encode(payload, issuer().private_key, algorithm="RS256", headers={"kid": KEY_ID, **(header or {})})


QUANTITY = "a quantity is a whole number from 1 to 1,000, such as 2; you sent "
PRICE = "a price is a whole number of minor units of the currency, from 0 to 10,000,000: 1290 for 12.90 EUR; you sent "
SOME_LINES = 'an order has 1 to 50 lines, such as {"sku": "TEA-GREEN-100", "quantity": 2}'
BODY = 'send a JSON object, such as {"lines": [{"sku": "TEA-GREEN-100", "quantity": 2}]}'
TIME = "a time has the form of RFC 3339, such as 2026-01-31T09:05:00Z; you sent "
METADATA = 'metadata is an object of at most 20 keys with texts, such as {"cart": "c-4711"}'
METADATA_KEY = "a key of metadata has 1 to 40 letters, digits, dots, underscores and hyphens, such as cart; you sent "
METADATA_VALUE = "a value of metadata is a text of at most 500 characters, such as c-4711"
CURRENCY = "a currency is three capital letters of ISO 4217, such as EUR"
QUERY_NAMES = "limit, cursor, status, created_at[gte], created_at[lt], sort, q"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
KEY = "send one Idempotency-Key header of 1 to 255 printable ASCII characters; use a new key for each new request"

MISTAKES: dict[str, Mistake] = {
    "no token": Mistake(ORDERS, 401, "unauthenticated", "send a bearer token in the header Authorization", token=""),
    "Basic": Mistake(
        ORDERS, 401, "unauthenticated", "send a bearer token in the header Authorization", token="Basic YTpi"
    ),
    "garbage token": Mistake(
        ORDERS,
        401,
        "unauthenticated",
        "this is not a JWT: expected 3 parts separated by dots, found 1",
        token="Bearer rubbish",
    ),
    "garbage in three parts": Mistake(
        ORDERS,
        401,
        "unauthenticated",
        "this is not a JWT: its parts are not base64url-encoded JSON",
        token="Bearer _w.a.b",
    ),
    "critical extension": Mistake(
        ORDERS,
        401,
        "unauthenticated",
        "the token's header has crit, and this API supports no critical extension",
        token=f"Bearer {token_of(header={'crit': ['exp']})}",
    ),
    "expired token": Mistake(
        ORDERS,
        401,
        "unauthenticated",
        "the token expired at 2026-01-31T09:05:00.000000Z",
        token=f"Bearer {token_of(exp=1769850300)}",
    ),
    "token of another issuer": Mistake(
        ORDERS,
        401,
        "unauthenticated",
        f"the token was issued by https://login.example.org/; this API accepts tokens of {ISSUER}",
        token=f"Bearer {token_of(iss='https://login.example.org/')}",
    ),
    "token of an issuer without a printable name": Mistake(
        ORDERS,
        401,
        "unauthenticated",
        f"the token was issued by another issuer; this API accepts tokens of {ISSUER}",
        token=f"Bearer {token_of(iss='x' + chr(0x202E))}",
    ),
    "issuer as a number": Mistake(
        ORDERS, 401, "unauthenticated", "the token's iss is not a string", token=f"Bearer {token_of(iss=7)}"
    ),
    "read-only token writes": Mistake(
        ORDERS,
        403,
        "insufficient_scope",
        "the token lacks the scope orders:write",
        token=f"Bearer {token_of(scope='orders:read')}",
    ),
    "expiry as text": Mistake(
        ORDERS, 401, "unauthenticated", "the token's exp is not a number", token=f"Bearer {token_of(exp='1769850300')}"
    ),
    "expiry beyond all time": Mistake(
        ORDERS,
        401,
        "unauthenticated",
        "the token's exp is not a time in seconds",
        token=f"Bearer {token_of(exp=10**400)}",
    ),
    "subject that is no ASCII": Mistake(
        ORDERS,
        401,
        "unauthenticated",
        "the token's claim sub is not 1 to 255 characters of ASCII",
        token=f"Bearer {token_of(sub='Zoë')}",
    ),
    "scopes as a number": Mistake(
        ORDERS,
        401,
        "unauthenticated",
        "the token's claim scope is neither a text nor a list of texts",
        token=f"Bearer {token_of(scope=7)}",
    ),
    "another customer, without orders:act": Mistake(
        LIST,
        403,
        "insufficient_scope",
        "the token lacks the scope orders:act",
        headers={"Order-Customer": "bob"},
    ),
    "another customer, without a name": Mistake(
        LIST,
        400,
        "validation_failed",
        "send one Order-Customer header with the customer's subject: 1 to 255 characters of printable ASCII, such as "
        "ada",
        ("header:order-customer",),
        headers={"Order-Customer": ""},
        token=f"Bearer {token_of(scope='orders:read orders:act')}",
    ),
    "no key": Mistake(
        ORDERS,
        400,
        "idempotency_key_missing",
        KEY,
        ("header:idempotency-key",),
        {"lines": [LINE]},
        headers={"Idempotency-Key": ""},
    ),
    "quantity 0": line(f"{QUANTITY}0", quantity=0),
    "quantity -1": line(f"{QUANTITY}-1", quantity=-1),
    "quantity 100000": line(f"{QUANTITY}100000", quantity=100_000),
    'quantity "2"': line(f'{QUANTITY}"2"', quantity="2"),
    "quantity 1.5": line(f"{QUANTITY}1.5", quantity=1.5),
    "quantity true": line(f"{QUANTITY}true", quantity=True),
    "quantity of two lines": order(
        f"an order has at most 1,000 units of one product; these lines have 1,001 of {TEA}",
        "/lines",
        lines=[{**LINE, "quantity": 1000}, LINE],
    ),
    "unit_price 12.90": product(f"{PRICE}12.9", "/unit_price", unit_price=12.90),
    "unit_price text": product(f'{PRICE}"12.90"', "/unit_price", unit_price="12.90"),
    "unknown SKUs": order(
        "there is no product tea-green-100, NOPE",
        "/lines/1/sku",
        "/lines/3/sku",
        status=422,
        code="unknown_sku",
        lines=[LINE, {"sku": "tea-green-100", "quantity": 1}, LINE, {"sku": "NOPE", "quantity": 1}],
    ),
    "no lines": order(f"{SOME_LINES}; you sent none", "/lines", lines=[]),
    "51 lines": order(
        f"{SOME_LINES}; these have 51 different products",
        "/lines",
        lines=[{"sku": f"S-{number}", "quantity": 1} for number in range(51)],
    ),
    "501 lines": order(
        "lines has at most 500 entries, before those of the same SKU are merged; you sent 501",
        "/lines",
        lines=[LINE] * 501,
    ),
    "lines of text": order(
        'each of the lines is an object, such as {"sku": "TEA-GREEN-100", "quantity": 2}; you sent "TEA"',
        "/lines/0",
        lines=["TEA"],
    ),
    "no body": raw("the body is empty; " + BODY, b""),
    "{}": Mistake(ORDERS, 400, "validation_failed", f"lines is missing: {SOME_LINES}", ("/lines",), {}),
    "[]": raw(BODY, b"[]"),
    "null": raw(BODY, b"null"),
    "broken JSON": raw(
        "the body is not valid JSON: at line 2, column 3 it has } where it is not allowed", b'{"lines":\n [}'
    ),
    "JSON in quotes": raw(
        "the body is not valid JSON: at line 1, column 2 it has ' where it is not allowed", b"{'lines': []}"
    ),
    "form body": Mistake(
        ORDERS,
        415,
        "unsupported_media_type",
        "send JSON with the header Content-Type: application/json; application/x-www-form-urlencoded is not supported",
        raw=b"lines=TEA",
        headers=FORM,
    ),
    "compressed body": Mistake(
        ORDERS,
        415,
        "unsupported_media_type",
        "send the body without Content-Encoding; compressed bodies are not supported",
        body={"lines": [LINE]},
        headers={"Content-Encoding": "gzip"},
    ),
    "latin-1": raw("the body is not UTF-8: it has the byte 0xe9 at line 1, column 10", b'{"r":"caf\xe9"}'),
    "a name twice": Mistake(
        ORDERS,
        400,
        "validation_failed",
        "the body has the name lines twice in one object, at line 1, column 13",
        ("/lines",),
        raw=b'{"lines":[],"lines":[]}',
    ),
    "items for lines": Mistake(
        ORDERS,
        400,
        "validation_failed",
        "there is no field items; did you mean lines?; allowed: lines, reference, payment_token, metadata",
        ("/lines", "/items"),
        {"items": [LINE]},
    ),
    "qty": Mistake(
        ORDERS,
        400,
        "validation_failed",
        "there is no field qty; did you mean quantity?; allowed: sku, quantity",
        ("/lines/0/quantity", "/lines/0/qty"),
        {"lines": [{"sku": TEA, "qty": 1}]},
    ),
    "currency on an order": order(
        "there is no field currency here: the currency of an order follows from its products",
        "/currency",
        currency="EUR",
    ),
    "price on a line": line("there is no field unit_price here: prices follow from the products", unit_price=590),
    "reference too long": order(
        "a reference has at most 100 characters; this one has 240", "/reference", reference="x" * 240
    ),
    "reference with a newline": order(
        "a reference has no control characters; this one has U+000A as character 3", "/reference", reference="PO\n7"
    ),
    "reference of blanks": order(
        "a reference has 1 to 100 characters, such as PO-2026-0042", "/reference", reference=" "
    ),
    "payment token": order(
        "a payment token has 1 to 255 letters, digits, underscores and hyphens, such as pm_card_visa",
        "/payment_token",
        payment_token="tok secret",
    ),
    "metadata as a list": order(f'{METADATA}; you sent ["cart"]', "/metadata", metadata=["cart"]),
    "metadata as a text": order(f'{METADATA}; you sent "cart"', "/metadata", metadata="cart"),
    "21 keys of metadata": order(
        "metadata has at most 20 keys; you sent 21", "/metadata", metadata={f"k{number}": "" for number in range(21)}
    ),
    "key of metadata with a blank": order(f'{METADATA_KEY}"the cart"', "/metadata/the cart", metadata={"the cart": ""}),
    "key of metadata with a slash": order(f'{METADATA_KEY}"a/b~"', "/metadata/a~1b~0", metadata={"a/b~": ""}),
    "key of metadata with a newline": order(f'{METADATA_KEY}"cart\\n"', "/metadata/cart\\n", metadata={"cart\n": ""}),
    "empty key of metadata": order(f'{METADATA_KEY}""', "/metadata/", metadata={"": "c-1"}),
    "key of metadata of 41 characters": order(METADATA_KEY, "/metadata/" + "k" * 41, metadata={"k" * 41: ""}),
    "key of metadata named as pydantic's places": order(
        f'{METADATA_KEY}"[key]"', "/metadata/[key]", "/metadata/[key]", metadata={"[key]": 7}
    ),
    "value of metadata of 501 characters": order(
        "a value of metadata has at most 500 characters; this one has 501",
        "/metadata/note",
        metadata={"note": "é" * 501},
    ),
    "value of metadata with a newline": order(
        "a value of metadata has no control characters; this one has U+000A as character 2",
        "/metadata/note",
        metadata={"note": "a\nb"},
    ),
    "value of metadata with a control of direction": order(
        "a value of metadata has no control characters; this one has U+202E as character 1",
        "/metadata/note",
        metadata={"note": "\u202eb"},
    ),
    "value of metadata as a number": order(f"{METADATA_VALUE}; you sent 7", "/metadata/n", metadata={"n": 7}),
    "value of metadata as true": order(f"{METADATA_VALUE}; you sent true", "/metadata/gift", metadata={"gift": True}),
    "value of metadata as null": order(METADATA_VALUE, "/metadata/n", metadata={"n": None}),
    "value of metadata as an object": order(
        f'{METADATA_VALUE}; you sent {{"a": "b"}}', "/metadata/n", metadata={"n": {"a": "b"}}
    ),
    "metadata of 4,097 bytes": order(
        "metadata has at most 4,096 bytes of UTF-8 in all; this has 4,097",
        "/metadata",
        metadata={f"k{number}": "é" * 250 for number in range(8)} | {"rest": "x" * 77},
    ),
    "metadata misspelt": order(
        "there is no field metdata; did you mean metadata?; allowed: lines, reference, payment_token, metadata",
        "/metdata",
        metdata={},
    ),
    "field named as pydantic's places of keys": Mistake(
        ORDERS,
        400,
        "validation_failed",
        "there is no field [key]; allowed: lines, reference, payment_token, metadata",
        ("/[key]",),
        {"lines": [LINE], "[key]": 1},
    ),
    "field of a line named as pydantic's places of keys": line(
        "there is no field [key]; allowed: sku, quantity", **{"[key]": 1}
    ),
    "bad cursor": listed(
        "send the cursor of the previous page, with the same filters, sort and customer",
        "cursor=x",
        "query:cursor",
        "invalid_cursor",
    ),
    "bad date": listed(f"{TIME}yesterday", "created_at[gte]=yesterday", "query:created_at[gte]"),
    "date only": listed(f"{TIME}2026-01-31", "created_at[gte]=2026-01-31", "query:created_at[gte]"),
    "month 13": listed(f"{TIME}2026-13-31T09:05:00Z", "created_at[lt]=2026-13-31T09:05:00Z", "query:created_at[lt]"),
    "blank for +": listed(
        "the time has a blank for the + of its zone; send + as %2B: 2026-01-31T09:05:00%2B01:00",
        "created_at[gte]=2026-01-31T09:05:00+01:00",
        "query:created_at[gte]",
    ),
    "year 1969": listed(
        "the time must be between the years 1970 and 9999 in UTC; you sent 1969-01-31T09:05:00Z",
        "created_at[gte]=1969-01-31T09:05:00Z",
        "query:created_at[gte]",
    ),
    "gte later than lt": listed(
        "created_at[gte] is later than created_at[lt], so no order can match",
        "created_at[gte]=2026-02-01T00:00:00Z&created_at[lt]=2026-01-01T00:00:00Z",
        "query:created_at[lt]",
    ),
    "a parameter twice": listed(
        "the parameter limit occurs more than once; send it once", "limit=1&limit=2", "query:limit"
    ),
    "bad status": listed(
        "a status is one of pending, reserved, confirmed, rejected, cancelled; you sent canceled; did you mean "
        "cancelled?",
        "status=canceled",
        "query:status",
    ),
    "unknown parameter": listed(f"there is no parameter offset; allowed: {QUERY_NAMES}", "offset=2", "query:offset"),
    "misspelt parameter": listed(
        f"there is no parameter statuses; did you mean status?; allowed: {QUERY_NAMES}", "statuses=x", "query:statuses"
    ),
    "limit 0": listed("limit is a whole number from 1 to 100, such as 20; you sent 0", "limit=0", "query:limit"),
    "limit many": listed(
        "limit is a whole number from 1 to 100, such as 20; you sent many", "limit=many", "query:limit"
    ),
    "sort total": listed(
        "cannot sort by 'total'; allowed: -created_at, created_at", "sort=total", "query:sort", "unsupported_sort"
    ),
    "empty q": listed("q has 1 to 100 characters, such as PO-2026", "q=", "query:q"),
    "malformed id": Mistake(UNKNOWN_ID, 404, "order_not_found", "there is no order 123"),
    "trailing slash": Mistake(
        ("GET", "/v1/orders/"),
        404,
        "not_found",
        "there is no path /v1/orders/; did you mean /v1/orders? allowed: GET, HEAD, POST",
    ),
    "misspelt path": Mistake(
        ("GET", "/v1/order"),
        404,
        "not_found",
        "there is no path /v1/order; did you mean /v1/orders? allowed: GET, HEAD, POST",
    ),
    "PATCH": Mistake(
        ("PATCH", "/v1/orders"),
        405,
        "method_not_allowed",
        "the path does not support this method; allowed: GET, HEAD, POST",
    ),
    "If-Match: 2": Mistake(
        ("POST", "/v1/orders/123/cancel"),
        400,
        "validation_failed",
        'send the ETag in double quotes: If-Match: "2"; you sent 2',
        ("header:if-match",),
        headers={"If-Match": "2"},
    ),
    "currency eur": product(f"there is no currency eur; did you mean EUR?: {CURRENCY}", "/currency", currency="eur"),
    "currency ZZZ": product(f"there is no currency ZZZ: {CURRENCY}", "/currency", currency="ZZZ"),
    "currency €": product(f'{CURRENCY}; you sent "€"', "/currency", currency="€"),
    "SKU in a path": Mistake(
        ("GET", "/v1/products/-"),
        400,
        "validation_failed",
        "a SKU has 1 to 64 letters, digits, dots, underscores and hyphens, and begins with a letter or digit, such as "
        "TEA-GREEN-100; you sent -",
        ("path:sku",),
    ),
    "stock below 0": Mistake(
        STOCK, 409, "insufficient_stock", f"only 5 of {TEA} are in stock", ("/delta",), {"delta": -6}
    ),
    "mixed currency": order(
        "all lines of an order must have the same currency; these have EUR, USD",
        "/lines/0/sku",
        "/lines/1/sku",
        status=422,
        code="currency_mismatch",
        lines=[LINE, {"sku": "CUP", "quantity": 1}],
    ),
    "reference taken": order(
        "you already have an order with the reference 'PO-7'",
        "/reference",
        status=409,
        code="reference_taken",
        reference=" PO-7 ",
    ),
    "key reused": Mistake(
        ORDERS,
        422,
        "idempotency_key_reused",
        "this idempotency key was already used for a request with a different body",
        ("header:idempotency-key",),
        {"lines": [{**LINE, "quantity": 2}]},
        headers={"Idempotency-Key": "used"},
    ),
    "large body": Mistake(
        ORDERS, 413, "payload_too_large", "the body is larger than 65536 bytes", body={"reference": "x" * 70_000}
    ),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop() -> AsyncIterator[Api]:
    async with open_api() as api:
        await api.put_product(TEA, units=5)
        await api.put_product("CUP", currency="USD")
        placed = await api.post_order({"lines": [LINE], "reference": "PO-7"}, "used")
        assert placed.status_code == 202, placed.text
        yield api


async def send(shop: Api, mistake: Mistake) -> httpx2.Response:
    method, path = mistake.route
    headers = {**shop.headers(), "Idempotency-Key": f"key of {mistake.sentence[:40].encode()!r}"}
    if mistake.token is not None:
        headers["Authorization"] = mistake.token
        if not mistake.token:
            del headers["Authorization"]
    content = mistake.raw
    if mistake.body is not None:
        content = json.dumps(mistake.body).encode()
    if content:
        headers["Content-Type"] = "application/json"
    url = f"{path}?{mistake.query}" if mistake.query else path
    return await shop.http.request(method, url, content=content, headers={**headers, **mistake.headers})


FOREIGN = re.compile(
    r"codec|ordinal|Input should|String should|List should|Field required|Extra inputs|Expecting|pattern|regex|\^\["
    r"|valid (dictionary|integer|string)|Enum|instance of|pydantic|Traceback|Signature|segments|padding|decode"
)
"""Phrases of pydantic, codecs, the JSON parser, PyJWT and regular expressions."""


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", MISTAKES)
async def test_a_mistake_gets_its_sentence(shop: Api, name: str) -> None:
    mistake = MISTAKES[name]
    response = await send(shop, mistake)
    problem = response.json()
    assert (response.status_code, problem["code"]) == (mistake.status, mistake.code), problem
    sentences = [problem["detail"], *(error["detail"] for error in problem["errors"])]
    assert any(mistake.sentence in sentence for sentence in sentences), sentences
    if mistake.pointers:
        assert [error["pointer"] for error in problem["errors"]] == list(mistake.pointers)
    for sentence in sentences:
        assert not FOREIGN.search(sentence), sentence
    assert "tok secret" not in response.text


@pytest.mark.asyncio(loop_scope="module")
async def test_a_lower_case_sku_is_suggested(shop: Api) -> None:
    response = await send(shop, MISTAKES["unknown SKUs"])
    assert [error["detail"] for error in response.json()["errors"]] == [
        f"there is no product tea-green-100; did you mean {TEA}?",
        "there is no product NOPE",
    ]


@pytest.mark.asyncio(loop_scope="module")
async def test_prefer_that_is_not_understood_is_ignored(shop: Api) -> None:
    """As RFC 7240 says."""
    (order_id,) = [each.order_id for each in shop.store.orders.values()]
    response = await shop.http.get(f"/v1/orders/{order_id}", headers={**shop.headers(), "Prefer": "wait=abc"})
    assert response.status_code == 200


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("zone", ["Z", "+0000", "+00:00", "-0000"])
async def test_a_time_may_have_its_zone_in_any_common_form(shop: Api, zone: str) -> None:
    query = {"created_at[gte]": f"2026-01-31T09:05:00{zone}"}
    response = await shop.http.get("/v1/orders", params=query, headers=shop.headers())
    assert response.status_code == 200, response.text


MODELS: dict[str, list[type[BaseModel]]] = {"body": [OrderIn, ProductIn, StockIn], "query": [OrderQuery, PageQuery]}
PLACES = [
    (where, model, (name,) if name != "quantity" else ("lines", 0, "quantity"))
    for where, models in MODELS.items()
    for model in models
    for name in [field.alias or name for name, field in model.model_fields.items()]
]
IN_METADATA: list[tuple[str, type[BaseModel], tuple[str, ...]]] = [
    ("body", OrderIn, ("metadata", "cart")),
    ("body", OrderIn, ("metadata", "cart", "[key]")),
]


@pytest.mark.parametrize("kind", list_all_errors(), ids=lambda kind: str(kind["type"]))
def test_no_text_of_pydantic_is_in_a_sentence(kind: Any) -> None:
    """For every error type that pydantic has, at every field that we have."""
    message = kind["example_message_python"]
    for where, model, path in (*PLACES, *IN_METADATA):
        for value in ("text", 7, None, ["x"], {"a": "b"}):
            error = {
                "type": kind["type"],
                "loc": (where, *path),
                "msg": message,
                "input": value,
                "ctx": {**(kind.get("example_context") or {}), "error": "regex ^["},
            }
            if kind["type"] == "string_too_long" and not isinstance(value, str):
                continue
            if kind["type"] in {"too_long", "too_short"} and not isinstance(value, list):
                continue
            (fault,) = faults_of([error], {where: model})
            assert not FOREIGN.search(fault.detail), fault
            assert message not in fault.detail
            assert fault.detail[0].islower() or fault.detail.startswith("send ")


@pytest.mark.parametrize(("where", "model", "path"), PLACES, ids=str)
def test_every_field_has_a_rule(where: str, model: Any, path: tuple[str, ...]) -> None:
    assert RULES[path[-1]], (where, model)
