"""Nobody reaches what is another's, nor learns of it: every route, over the fakes and the real storage.

The cases are made from the routes that the app has: tests/unit/api/isolation.py. What the keys of
items are made of is the same on every engine, so one real one is enough.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from aws_json_client import RetryPolicy
from devstack.provision import create_table
from devstack.stack import REGION, local_credentials
from order_shared.aws.dynamodb import open_dynamo
from order_shared.tables import TABLES, TableNames
from tests import engines
from tests.fakes import make_adapters
from tests.unit.api.conftest import problem_of
from tests.unit.api.isolation import (
    ACTOR,
    COMMON,
    MORE,
    OWN,
    PROTECTED,
    Caller,
    Names,
    Owner,
    Route,
    Snapshot,
    World,
    done,
    example_of,
    items_of,
    nobodys,
    open_memory_world,
    open_world,
    told_by,
)

PREFIX = "isolation-"

every_route = pytest.mark.parametrize("route", PROTECTED, ids=str)
every_naming_route = pytest.mark.parametrize("route", [route for route in PROTECTED if route.names], ids=str)
every_list = pytest.mark.parametrize("route", [route for route in PROTECTED if route.is_list], ids=str)
every_reading_route = pytest.mark.parametrize(
    "route", [route for route in PROTECTED if route.is_list or route.is_stream], ids=str
)
every_keyed_route = pytest.mark.parametrize(
    "route", [route for route in PROTECTED if example_of(route).is_keyed], ids=str
)


@pytest.fixture(scope="module")
def tables() -> TableNames:
    return TableNames.with_prefix(PREFIX)


@pytest.fixture(scope="module", params=["fake", "emulator"])
def endpoint(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """Of the embedded AWS, with tables that only this suite has; None for the fakes."""
    if request.param == "fake":
        yield None
        return
    address: str = request.getfixturevalue("emulator_endpoint")
    dynamodb = engines.client("dynamodb", address)
    for table in TABLES:
        create_table(dynamodb, table, PREFIX + table.name)
    yield address


@pytest.fixture
async def world(endpoint: str | None, tables: TableNames) -> AsyncIterator[World]:
    async with open_memory_world() if endpoint is None else open_real_world(endpoint, tables) as opened:
        yield opened


@asynccontextmanager
async def open_real_world(endpoint: str, tables: TableNames) -> AsyncIterator[World]:
    async def snapshot() -> Snapshot:
        return await asyncio.to_thread(scan, endpoint)

    retries = RetryPolicy(deadline=20.0)
    async with (
        open_dynamo(local_credentials(), region=REGION, endpoint=endpoint, retries=retries) as dynamo,
        open_world(make_adapters(dynamo, tables), snapshot) as world,
    ):
        yield world


def scan(endpoint: str) -> Snapshot:
    dynamodb = engines.client("dynamodb", endpoint)
    stored = {}
    for table in TABLES:
        keys = [table.hash_key, *([table.range_key] if table.range_key else [])]
        for page in dynamodb.get_paginator("scan").paginate(TableName=PREFIX + table.name):
            for item in page["Items"]:
                stored[" ".join([table.name, *(str(item[key.name]) for key in keys)])] = repr(sorted(item.items()))
    return stored


@every_naming_route
async def test_what_is_anothers_is_as_if_it_were_not_there(world: World, route: Route) -> None:
    """The very answer, to the byte, that what nobody has gets; whatever else the caller knows of it, or claims."""
    names, absent = await world.settle(), nobodys()
    example = example_of(route)
    before = await world.snapshot()
    claimed = None if example.has_query else {"tenant": world.owner.tenant, "customer": world.owner.customer}
    for caller in world.others(example.owner):
        for headers, params in (
            ({}, None),
            ({"If-Match": '"1"'}, None),
            ({"If-Match": '"9"', "If-None-Match": "*"}, None),
            ({"If-None-Match": '"1"', "Prefer": "wait=1"}, None),
            ({"X-Tenant": world.owner.tenant, "X-Customer": world.owner.customer}, claimed),
        ):
            who = caller.headers | headers
            answer = await world.send(route, who, names, params=params)
            if example.absent:
                problem_of(answer, 404, example.absent)
                assert not {"etag", "location"} & answer.headers.keys()
            else:
                done(answer)
            assert told_by(answer, names) == told_by(await world.send(route, who, absent, params=params), absent)
    after = await world.snapshot()
    assert before == after if example.absent else before.items() <= after.items()


@every_naming_route
async def test_what_is_ones_own_is_there_and_what_is_their_shops_for_staff(world: World, route: Route) -> None:
    names = await world.settle()
    callers = (world.owner, world.owner.by_backend, world.neighbour.as_staff, world.neighbour.as_staff.by_backend)
    for turn, who in enumerate(callers):
        if route.method == "DELETE" and turn:  # the caller before has deleted it
            names = replace(names, endpoint_id=await world.add_endpoint(world.owner, f".again{turn}"))
        done(await world.send(route, who.headers, names))


@every_route
async def test_no_answer_shows_anything_of_anothers(world: World, route: Route) -> None:
    """Not even after the owner has asked the same, and whatever was kept for them is fresh."""
    names = await world.settle()
    done(await world.send(route, world.owner.entitled_to(route).headers, names, key="the owner's"))
    own, common = names, Names(names.order_id, COMMON)
    for what in (own, common):
        for caller in (*world.others(Owner.TENANT), world.stranger.as_staff.by_backend):
            answer = await world.send(route, caller.headers, what)
            assert world.owner.tenant not in answer.text, "the names of products and the references tell the shop"
        for caller in (world.neighbour, world.neighbour.by_backend):
            answer = await world.send(route, caller.headers, what)
            assert world.owner.mark not in answer.text, "the references tell the customer"


@pytest.mark.parametrize("route", [route for route in PROTECTED if example_of(route).body], ids=str)
async def test_no_body_says_who_asks(world: World, route: Route) -> None:
    names = await world.settle()
    before = await world.snapshot()
    claims = {"tenant": world.owner.tenant, "customer": world.owner.customer, "customer_key": "-"}
    for name, value in claims.items():
        body = {**(example_of(route).body or {}), name: value}
        problem_of(await world.send(route, world.stranger.headers, names, body=body), 400, "validation_failed")
    assert await world.snapshot() == before


@every_reading_route
async def test_a_list_has_what_is_ones_own_and_no_more(world: World, route: Route) -> None:
    """For staff too: the orders of others are in the list of their shop only."""
    names = await world.settle()
    of_customers = example_of(route).owner is Owner.CUSTOMER
    for caller in world.callers:
        for who in (caller.entitled_to(route), caller.as_staff, caller.by_backend.entitled_to(route)):
            items = items_of(await world.send(route, who.headers, names))
            assert len(items) == world.listed(route, caller)
            assert all((caller.mark if of_customers else caller.tenant) in json.dumps(item) for item in items)


async def test_a_stream_that_is_open_gets_what_is_ones_own_and_no_more(world: World) -> None:
    """Of events that happen while it is open, and which one reader of the shop's log passes on."""
    names = await world.settle()
    world.patience.seconds = 3.0
    own, of_shop = Route("/v1/events/stream", "GET"), Route("/v1/tenant/events/stream", "GET")
    callers = [(own, caller) for caller in (world.stranger, world.owner, world.neighbour, world.neighbour.by_backend)]
    callers += [(of_shop, caller.as_staff) for caller in world.callers]
    reading = []
    for route, caller in callers:
        sending = world.send(route, caller.headers, names, params={"after": "latest"})
        reading.append(asyncio.create_task(sending))
        await asyncio.sleep(0.2)  # so that the shop with the shorter log is the first
    for caller in world.callers:
        await world.place(caller, f"{caller.mark}.live")
    for (route, caller), answer in zip(callers, reading, strict=True):
        references = [event["data"]["reference"] for event in items_of(await answer)]
        seen = [each for each in world.callers if each.tenant == caller.tenant] if route == of_shop else [caller]
        assert sorted(references) == sorted(f"{each.mark}.live" for each in seen)


async def test_nothing_is_searched_but_what_is_ones_own(world: World) -> None:
    names = await world.settle()
    route = Route("/v1/orders", "GET")
    for params in ({"q": f"{world.owner.mark}.1"}, {"q": names.order_id}, {"status": "pending", "q": world.owner.mark}):
        for caller in (world.neighbour.as_staff, world.stranger.as_staff, world.neighbour.by_backend):
            answer = await world.send(route, caller.headers, names, params=params)
            assert answer.json().get("items", []) == []
            assert names.order_id not in answer.text.replace(params["q"], "")


async def test_only_staff_search_their_shop_and_no_other(world: World) -> None:
    names = await world.settle()
    route = Route("/v1/tenant/orders", "GET")
    mark = world.owner.mark
    searches = ({"reference": f"{mark}.1"}, {"customer": world.owner.customer}, {"status": "pending"}, {"limit": "100"})
    for params in searches:
        for staff in (world.owner.as_staff, world.neighbour.as_staff, world.neighbour.as_staff.by_backend):
            items = done(await world.send(route, staff.headers, names, params=params)).json()["items"]
            assert f"{mark}.1" in [order["reference"] for order in items]
            assert {order["customer"] for order in items} <= {world.owner.customer, world.neighbour.customer}
        for other in (world.stranger.as_staff, world.stranger.as_staff.by_backend):
            items = done(await world.send(route, other.headers, names, params=params)).json()["items"]
            assert all(order["reference"].startswith(world.stranger.mark) for order in items)
        for caller in (world.owner, world.neighbour, world.owner.by_backend, world.stranger):
            problem_of(await world.send(route, caller.headers, names, params=params), 403, "insufficient_scope")


async def test_an_order_is_listed_under_its_own_shop(world: World) -> None:
    """Otherwise one shop would read past the orders of another, whatever it then shows."""
    await world.settle()
    orders = {key: item for key, item in (await world.snapshot()).items() if "tenant_shard" in item}
    listed = {key: re.findall(r"'tenant_shard'[:,] \{'S': '([^#']+)#\d+'\}", item) for key, item in orders.items()}
    for caller in world.callers:
        own = [tenants for key, tenants in listed.items() if f"{caller.tenant}#{caller.customer}" in key]
        assert own == [[caller.tenant]] * 2


@every_list
async def test_a_cursor_is_of_use_to_nobody_else(world: World, route: Route) -> None:
    names = await world.settle()
    limit = str(world.listed(route, world.owner) - 1)
    page = done(await world.send(route, world.owner.entitled_to(route).headers, names, params={"limit": limit})).json()
    parameter, field, code = example_of(route).paging
    params = {"limit": limit, parameter: page[field]}
    for caller in (*world.others(example_of(route).owner), world.neighbour.as_staff):
        answer = await world.send(route, caller.entitled_to(route).headers, names, params=params)
        if example_of(route).owner is Owner.CUSTOMER or caller.tenant != world.owner.tenant:
            problem_of(answer, 400, code)
        else:
            done(answer)
    for other in (other for other in PROTECTED if other.is_list and other != route):
        headers = world.owner.entitled_to(other).headers
        parameter, _, code = example_of(other).paging
        elsewhere = {"limit": limit, parameter: page[field]}
        problem_of(await world.send(other, headers, names, params=elsewhere), 400, code)
    for who in (world.owner.entitled_to(route), world.owner.by_backend.entitled_to(route)):
        last = done(await world.send(route, who.headers, names, params=params)).json()
        assert (len(last["items"]), last["has_more"]) == (1, False)
        assert last["items"][0] not in page["items"]


@every_keyed_route
async def test_a_key_is_of_one_customer_only(world: World, route: Route) -> None:
    """The same key of another is another request: carried out, not taken for the first one or for a changed one."""
    names = Names((await world.settle()).order_id, COMMON)
    first = [await world.send(route, caller.headers, names, key="k") for caller in world.callers]
    assert ["Idempotent-Replayed" in done(answer).headers for answer in first] == [False] * 3
    for callers in (world.callers, [caller.by_backend for caller in world.callers]):
        again = [await world.send(route, caller.headers, names, key="k") for caller in callers]
        assert ["Idempotent-Replayed" in done(answer).headers for answer in again] == [True] * 3
        assert [answer.json().get("id") for answer in again] == [answer.json().get("id") for answer in first]
    assert len({answer.text for answer in first}) == 3
    own = await world.send(route, replace(world.owner.by_backend, customer=ACTOR).headers, names, key="k")
    assert "Idempotent-Replayed" not in done(own).headers, "the key of a customer is not the backend's own"


@every_keyed_route
async def test_another_request_under_anothers_key_is_carried_out(world: World, route: Route) -> None:
    names = Names((await world.settle()).order_id, COMMON)
    done(await world.send(route, world.owner.headers, names, key="k"))
    another = example_of(route).another
    for caller in (world.neighbour, world.stranger):
        done(await world.send(route, caller.headers, names, key="k", body=another))
    reused = await world.send(route, world.owner.headers, names, key="k", body=another)
    problem_of(reused, 422, "idempotency_key_reused")


@every_keyed_route
async def test_a_key_is_wanted_where_the_suite_says_so(world: World, route: Route) -> None:
    names = await world.settle()
    problem_of(await world.send(route, world.owner.headers, names, key=""), 400, "idempotency_key_missing")


async def test_a_reference_is_taken_for_its_customer_only(world: World) -> None:
    await world.settle()
    orders = [await world.place(caller, "po-7") for caller in world.callers]
    assert len(set(orders)) == 3
    body = {"lines": [{"sku": COMMON, "quantity": 1}], "reference": "po-7"}
    route = Route("/v1/orders", "POST")
    cancel = Route("/v1/orders/{order_id}/cancel", "POST")
    for order_id, caller in zip(orders, world.callers, strict=True):
        taken = await world.send(route, caller.headers, nobodys(), key="new", body=body)
        problem_of(taken, 409, "reference_taken")
        done(await world.send(cancel, caller.headers, Names(order_id, COMMON)))
        done(await world.send(route, caller.headers, nobodys(), key="new", body=body))


async def test_what_a_backend_places_is_the_customers_and_names_the_backend(world: World) -> None:
    await world.settle()
    placed = {who: await world.place(who, f"by {who.actor}") for who in (world.owner, world.owner.by_backend)}
    read, cancel = Route("/v1/orders/{order_id}", "GET"), Route("/v1/orders/{order_id}/cancel", "POST")
    for who, order_id in placed.items():
        names = Names(order_id, COMMON)
        for reader in (world.owner, world.owner.by_backend, world.neighbour.as_staff):
            answer = done(await world.send(read, reader.headers, names)).json()
            assert (answer["reference"], answer["placed_by"]) == (f"by {who.actor}", who.actor)
        itself = replace(world.owner, customer=ACTOR)
        problem_of(await world.send(read, itself.headers, names), 404, "order_not_found")
    done(await world.send(cancel, world.owner.headers, Names(placed[world.owner.by_backend], COMMON)))
    done(await world.send(cancel, world.owner.by_backend.headers, Names(placed[world.owner], COMMON)))


async def test_who_acts_for_oneself_places_an_own_order(world: World) -> None:
    await world.settle()
    itself = replace(world.owner.by_backend, customer=ACTOR)
    order_id = await world.place(itself, "own")
    answer = await world.send(Route("/v1/orders/{order_id}", "GET"), itself.headers, Names(order_id, COMMON))
    assert done(answer).json()["placed_by"] is None


async def test_a_product_is_of_one_shop(world: World) -> None:
    """Its price, its name and its stock; what it costs there is what is ordered there."""
    await world.settle()
    await world.put_product(world.owner, COMMON, unit_price=100)
    await world.put_product(world.stranger, COMMON, unit_price=999)
    await world.add_stock(world.owner, COMMON, 5)
    ours, theirs = await world.product(world.owner, COMMON), await world.product(world.stranger, COMMON)
    assert (ours["unit_price"], ours["available"]) == (100, 15)
    assert (theirs["unit_price"], theirs["available"]) == (999, 10)
    assert ours["name"] != theirs["name"]
    stock = Route("/v1/products/{sku}/stock", "POST")
    short = await world.send(stock, world.stranger.headers, Names("-", COMMON), body={"delta": -11})
    problem_of(short, 409, "insufficient_stock")


async def test_what_another_shop_sells_cannot_be_ordered(world: World) -> None:
    names = await world.settle()
    route = Route("/v1/orders", "POST")
    for caller, sku, foreign in ((world.owner, OWN, MORE), (world.stranger, MORE, OWN)):
        done(await world.send(route, caller.headers, names, body={"lines": [{"sku": sku, "quantity": 1}]}))
        body = {"lines": [{"sku": foreign, "quantity": 1}]}
        problem_of(await world.send(route, caller.headers, names, key="foreign", body=body), 422, "unknown_sku")


async def test_names_that_run_together_are_told_apart(world: World) -> None:
    """Whatever stands between the parts of a key: nobody's name can take another's place in it."""
    names = await world.settle()
    tenant, customer = world.owner.tenant, world.owner.customer
    route = Route("/v1/orders/{order_id}", "GET")
    for separator in ".:|-@":
        for caller in (Caller(f"{tenant}{separator}{customer}", "-"), Caller(tenant, f"{separator}{customer}")):
            problem_of(await world.send(route, caller.headers, names), 404, "order_not_found")
    for alike in (f"{tenant}#{customer}", f"{customer}#", f"#{customer}", "%61da", "ada%", f" {customer}", "Ada"):
        for caller in (Caller(tenant, alike), Caller(world.stranger.tenant, alike).by_backend):
            problem_of(await world.send(route, caller.headers, names), 404, "order_not_found")
    for caller in (Caller(f"{tenant}#{customer}", ""), Caller(f"{tenant}#{customer}", "x"), Caller("", tenant)):
        problem_of(await world.send(route, caller.headers, names), 401, "unauthenticated")


async def test_subjects_that_are_encoded_alike_are_told_apart(world: World) -> None:
    """What is stored of one subject may be another subject itself, as `a#b` and `a%23b`."""
    await world.settle()
    route = Route("/v1/orders", "GET")
    subjects = ("a#b", "a%23b", "a%2523b", "a b", "a+b", "a/b")
    orders = {subject: await world.place(Caller(world.owner.tenant, subject), "po-7") for subject in subjects}
    assert len(set(orders.values())) == len(subjects), "none of them is a replay"
    for subject, order_id in orders.items():
        for who in (Caller(world.owner.tenant, subject), Caller(world.owner.tenant, subject).by_backend):
            page = done(await world.send(route, who.headers, nobodys())).json()
            assert [order["id"] for order in page["items"]] == [order_id]
    split = f"{world.owner.tenant}#a#b"
    assert not [key for key in await world.snapshot() if split in key], "a separator of keys is never part of a name"
