"""Open orders move back to the 16 keys of the outbox that the last release sweeps, whatever else goes on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner
from typer.testing import Result as Invocation

from aws_json_client import RetryPolicy
from devstack.provision import create_table
from devstack.stack import KEY, REGION, local_credentials
from order_operations.key_migration import MAX_PASSES, SUBJECT, KeyMigrationRun, StillWritten
from order_operations.target import Target
from order_shared.aws.dynamodb import Dynamo, Item, open_dynamo
from order_shared.domain.clock import to_millis
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.order.models import Order
from order_shared.storage.key_migration import KeyMigration
from order_shared.storage.order_items import item_key
from order_shared.storage.orders import MAX_DUE_AT, DynamoOrderRepository
from order_shared.storage.outbox import DEFAULT_SHARDS, PARKED_SHARDS, SWEPT_SHARDS, open_shard_of
from order_shared.tables import OPEN_SHARDS, TABLES, TableNames
from orderctl import terminal
from orderctl.exceptions import ExitCode
from orderctl.main import app
from tests import engines
from tests.factories import make_order, make_record
from tests.memory_dynamo import MemoryDynamo

FAST = 1_000_000.0
LAST_RELEASE_KEYS = (*SWEPT_SHARDS[:16], *PARKED_SHARDS[:16])


async def no_wait(_: float) -> None:
    return None


@dataclass
class Shop:
    """Tables of one test, and repositories over them that write 128 keys and 16."""

    dynamo: Dynamo
    tables: TableNames

    def __post_init__(self) -> None:
        self.on_128 = DynamoOrderRepository(self.dynamo, self.tables, open_shards=OPEN_SHARDS)
        self.on_16 = DynamoOrderRepository(self.dynamo, self.tables)
        self.migration = KeyMigration(self.dynamo, self.tables)

    def run(self, migration: KeyMigration | None = None, **options: Any) -> KeyMigrationRun:
        return KeyMigrationRun(migration or self.migration, rate=FAST, sleep=no_wait, **options)

    async def place(self, *, parked: bool = False) -> Order:
        """Store an order under a key that the last release does not read."""
        while True:
            order = make_order()
            if open_shard_of(order, OPEN_SHARDS) in DEFAULT_SHARDS:
                break
        await self.on_128.add(order, make_record(order))
        return await self.on_128.move(order, order.park(order.created_at, "overdue")) if parked else order

    async def item(self, order: Order) -> Item:
        item = await self.dynamo.get(self.tables.orders, item_key(order.customer.key, order.created_at))
        assert item is not None
        return item

    async def found_by_the_last_release(self) -> set[str]:
        """The customers' orders under the keys that it reads, as `created_at` says."""
        entries = [entry for key in LAST_RELEASE_KEYS for entry in await self.on_16.list_due(key, MAX_DUE_AT, 1000)]
        assert len(entries) == len({entry.created_at for entry in entries})
        return {entry.created_at.isoformat() for entry in entries}


def names(*orders: Order) -> set[str]:
    return {order.created_at.isoformat() for order in orders}


@asynccontextmanager
async def opened(endpoint: str, tables: TableNames) -> AsyncIterator[Shop]:
    retries = RetryPolicy(deadline=20.0)
    async with open_dynamo(local_credentials(), region=REGION, endpoint=endpoint, retries=retries) as dynamo:
        yield Shop(dynamo, tables)


def created(endpoint: str, prefix: str) -> TableNames:
    dynamodb = engines.client("dynamodb", endpoint)
    for table in TABLES:
        create_table(dynamodb, table, prefix + table.name)
    return TableNames.with_prefix(prefix)


@pytest.fixture
def memory_shop() -> Shop:
    """A shop in memory, for tests of the run; each pass reads 224 keys."""
    return Shop(MemoryDynamo().client(), TableNames.with_prefix(""))


@pytest.fixture(params=["emulator", "dynamodb-local"])
async def shop(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shop]:
    endpoint: str = request.getfixturevalue(f"{request.param.replace('-', '_')}_endpoint")
    async with opened(endpoint, created(endpoint, f"{tmp_path.name}-")) as shop:
        yield shop


async def test_every_order_is_found_by_the_last_release_afterwards_and_nothing_else_changes(shop: Shop) -> None:
    orders = [await shop.place(parked=number % 3 == 0) for number in range(30)]
    before = [await shop.item(order) for order in orders]
    assert await shop.found_by_the_last_release() == set(), "it sweeps none of them before"
    assert await shop.run().count() == len(orders)
    assert await shop.run().run() == len(orders)
    assert await shop.found_by_the_last_release() == names(*orders)
    for order, item in zip(orders, before, strict=True):
        assert await shop.item(order) == {**item, "open_shard": open_shard_of(order)}
    assert await shop.run().count() == 0
    assert await shop.run().run() == 0, "a second run has nothing left to do"


async def test_what_has_a_default_key_stays_there(memory_shop: Shop) -> None:
    orders = [make_order() for _ in range(20)]
    for order in orders:
        await memory_shop.on_16.add(order, make_record(order))
    before = [await memory_shop.item(order) for order in orders]
    assert await memory_shop.run().run() == 0
    assert [await memory_shop.item(order) for order in orders] == before


async def test_many_orders_of_one_key_are_read_page_by_page(memory_shop: Shop) -> None:
    orders = [await memory_shop.place() for _ in range(40)]
    seen: list[int] = []
    run = KeyMigrationRun(memory_shop.migration, rate=2, sleep=no_wait, on_progress=seen.append)  # two to a page
    assert await run.run() == len(orders)
    assert seen[-1] == len(orders)
    assert await memory_shop.found_by_the_last_release() == names(*orders)


async def test_an_order_that_ends_meanwhile_does_not_come_back(shop: Shop) -> None:
    """The index still shows it, since it follows the table."""
    order = await shop.place()
    (entry,) = (await shop.migration.read(open_shard_of(order, OPEN_SHARDS), None, 10)).items
    await shop.on_16.move(order, order.cancel(order.created_at))
    ended = await shop.item(order)
    assert not await shop.migration.move(entry)
    assert await shop.item(order) == ended
    assert "open_shard" not in ended


async def test_an_order_that_is_parked_meanwhile_stays_parked(shop: Shop) -> None:
    order = await shop.place()
    (entry,) = (await shop.migration.read(open_shard_of(order, OPEN_SHARDS), None, 10)).items
    parked = await shop.on_16.move(order, order.park(order.created_at, "overdue"))
    assert not await shop.migration.move(entry)
    assert (await shop.item(order))["open_shard"] == open_shard_of(parked)


async def test_a_moved_order_is_processed_by_whoever_read_it_before(shop: Shop) -> None:
    """Its fence, its version and its due time stay, so the write of a processor at work succeeds."""
    order = await shop.place()
    assert await shop.run().run() == 1
    for repository in (shop.on_128, shop.on_16):
        order = await repository.move(order, order.failed(order.created_at, ValueError("a bug")))
        assert (await shop.item(order))["open_shard"] == open_shard_of(order), "a move leaves the key as it is"


async def test_a_sweep_of_an_entry_that_was_moved_does_nothing(shop: Shop) -> None:
    order = await shop.place()
    (entry,) = await shop.on_128.list_due(open_shard_of(order, OPEN_SHARDS), MAX_DUE_AT, 10)
    await shop.run().run()
    assert await shop.on_128.postpone(entry, to_millis(order.created_at) + 1, sweeps=1) is None
    (entry,) = await shop.on_128.list_due(open_shard_of(order), MAX_DUE_AT, 10)
    assert await shop.on_128.postpone(entry, to_millis(order.created_at) + 1, sweeps=1) is not None


class Interrupted(KeyMigration):
    """Fails at one of its writes, before it or after it."""

    left = 7
    applied = False

    async def move(self, entry: Item) -> bool:
        self.left -= 1
        if self.left < 0:
            if self.applied:
                await super().move(entry)
            raise StorageUnavailable("DynamoDB: timeout")
        return await super().move(entry)


@pytest.mark.parametrize("applied", [False, True])
async def test_an_interrupted_run_is_continued_by_the_next(shop: Shop, *, applied: bool) -> None:
    orders = [await shop.place() for _ in range(20)]
    interrupted = Interrupted(shop.dynamo, shop.tables)
    interrupted.applied = applied
    with pytest.raises(StorageUnavailable):
        await shop.run(interrupted).run()
    left = await shop.run().count()
    assert 0 < left <= 20 - 7
    assert await shop.run().run() == left
    assert await shop.found_by_the_last_release() == names(*orders)


async def test_two_runs_at_once_move_each_order_once(shop: Shop) -> None:
    orders = [await shop.place() for _ in range(20)]
    assert sum(await asyncio.gather(shop.run().run(), shop.run().run())) == len(orders)
    assert await shop.found_by_the_last_release() == names(*orders)


async def test_it_says_so_when_somebody_still_writes_the_other_keys(memory_shop: Shop) -> None:
    async def place_one(_: float) -> None:
        await memory_shop.place()

    await memory_shop.place()
    with pytest.raises(StillWritten, match=f"after {MAX_PASSES} passes"):
        await KeyMigrationRun(memory_shop.migration, rate=FAST, sleep=place_one).run()


async def test_an_order_that_the_index_shows_late_is_moved_too(memory_shop: Shop) -> None:
    """It comes between the first empty pass and the second."""
    late: list[Order] = []

    async def place_once(_: float) -> None:
        if not late:
            late.append(await memory_shop.place())

    assert await KeyMigrationRun(memory_shop.migration, rate=FAST, sleep=place_once).run() == 1
    assert await memory_shop.found_by_the_last_release() == names(*late)


async def test_the_rate_is_held(memory_shop: Shop) -> None:
    for _ in range(9):
        await memory_shop.place()
    now = [100.0]
    moved: list[tuple[int, float]] = []

    async def sleep(seconds: float) -> None:
        now[0] += seconds

    run = KeyMigrationRun(
        memory_shop.migration,
        rate=4.0,
        monotonic=lambda: now[0],
        sleep=sleep,
        on_progress=lambda count: moved.append((count, now[0] - 100.0)),
    )
    assert await run.run() == 9
    assert all(count <= 4.0 * at + 4 for count, at in moved)


# --- the command


Environment = Callable[[Callable[[Shop], Awaitable[Any]]], Any]


@pytest.fixture
def environment(emulator_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """Runs work on the environment that the command works on, and returns its result."""
    tables = created(emulator_endpoint, f"{tmp_path.name}-")
    variables = {
        "AWS_ENDPOINT_URL": emulator_endpoint,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "ORDER_TABLE_PREFIX": f"{tmp_path.name}-",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for console in (terminal.console, terminal.errors):
        monkeypatch.setattr(console, "width", 200)

    def run(work: Callable[[Shop], Awaitable[Any]]) -> Any:
        async def with_shop() -> Any:
            async with opened(emulator_endpoint, tables) as shop:
                return await work(shop)

        return asyncio.run(with_shop())

    return run


def command(*arguments: str, answer: str | None = None) -> Invocation:
    return CliRunner().invoke(app, ["migrate-keys", *arguments], input=answer)


async def three_orders(shop: Shop) -> list[Order]:
    return [await shop.place(), await shop.place(), await shop.place(parked=True)]


async def left(shop: Shop) -> int:
    return await shop.run().count()


def test_a_dry_run_counts_and_moves_nothing(environment: Environment) -> None:
    environment(three_orders)
    done = command("--dry-run")
    assert done.exit_code == 0, done.output
    assert "3 orders to be moved to the 16 keys" in done.output
    assert environment(left) == 3
    assert Target.of_environment().audit.of(SUBJECT) == []


def test_a_run_says_what_it_did_and_who_began_it_is_audited(environment: Environment) -> None:
    environment(three_orders)
    done = command("--reason", "roll back", "--yes")
    assert done.exit_code == 0, done.output
    assert "3 orders moved to the 16 keys; none is left under other keys" in done.output
    assert environment(left) == 0
    (record,) = Target.of_environment().audit.of(SUBJECT)
    assert (record.verb, record.reason, record.detail) == ("migrate-keys", "roll back", "to 16 keys")
    assert "0 orders moved" in command("--reason", "once more", "--yes").output


def test_it_is_refused_while_the_setting_says_128(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    environment(three_orders)
    monkeypatch.setenv("ORDER_OPEN_SHARDS", "128")
    done = command("--reason", "roll back", "--yes")
    assert done.exit_code == ExitCode.REFUSED
    assert "Set it to 16 for every service first" in done.output
    assert environment(left) == 3
    assert "3 orders to be moved" in command("--dry-run").output, "counting is allowed"


def test_it_needs_a_reason_and_a_yes(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    environment(three_orders)
    assert command("--yes").exit_code == ExitCode.USAGE
    monkeypatch.setattr(terminal, "can_ask", lambda: True)
    assert command("--reason", "roll back", answer="n\n").exit_code == ExitCode.REFUSED
    assert environment(left) == 3
