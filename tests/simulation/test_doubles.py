"""The doubles of queue, tables and machines: each rule that AWS documents, and the death of a machine."""

import asyncio

import pytest

from order_api.order.service import PlaceOrder
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.order.models import Customer
from order_shared.messaging.queue import OutgoingMessage, Visibility
from tests.simulation.customers import SKU, TENANT
from tests.simulation.history import Border, What
from tests.simulation.loop import Deadlock, Host, new_loop, seeded
from tests.simulation.queue import QueueRules
from tests.simulation.tables import Conflict, Item, TableRules, Throttled
from tests.simulation.world import Rules, World, simulate

HOST = Host("here")


def messages(*names: str) -> list[OutgoingMessage]:
    return [OutgoingMessage(name) for name in names]


def test_at_the_quota_a_poll_ends_without_messages_and_a_postponed_message_is_in_flight() -> None:
    async def play(world: World) -> None:
        queue = world.queue.client(world.link(HOST, 0.01, Border.QUEUE))
        await queue.send(messages("a", "b", "c"))
        first, second = await queue.receive(10, 0, 30)
        began = world.loop.time()
        assert await queue.receive(10, 20, 30) == []
        assert world.loop.time() - began >= 20.0, "a long poll waits"
        await queue.change_visibility([Visibility(first.receipt, 300)])
        assert (world.queue.in_flight, world.queue.visible) == (2, 1)
        await queue.delete([second.receipt])
        assert len(await queue.receive(10, 0, 30)) == 1

    simulate("1", Rules(queue=QueueRules(quota=2)), play)


def test_a_poll_that_waits_is_woken_by_a_message_and_by_the_end_of_a_visibility() -> None:
    async def play(world: World) -> None:
        queue = world.queue.client(world.link(HOST, 0.01, Border.QUEUE))
        polling = asyncio.create_task(queue.receive(10, 20, 5))
        await asyncio.sleep(3.0)
        await queue.send(messages("a"))
        assert [message.body for message in await polling] == ["a"]
        assert world.loop.time() < 3.1
        (again,) = await queue.receive(10, 20, 5)
        assert again.receive_count == 2
        assert 8.0 < world.loop.time() < 8.2

    simulate("1", Rules(), play)


def test_a_message_received_three_times_goes_to_the_back_and_has_no_age() -> None:
    async def play(world: World) -> None:
        queue = world.queue.client(world.link(HOST, 0.01, Border.QUEUE))
        await queue.send(messages("worn"))
        for _ in range(3):
            (worn,) = await queue.receive(1, 0, 30)
            await queue.change_visibility([Visibility(worn.receipt, 0)])
        assert world.queue.age_of_oldest == 0.0
        await queue.send(messages("new", "newer"))
        assert world.queue.age_of_oldest > 0.0
        bodies = [message.body for _ in range(3) for message in await queue.receive(1, 0, 30)]
        assert set(bodies[:2]) == {"new", "newer"}
        assert bodies[2] == "worn"

    simulate("1", Rules(), play)


def test_messages_come_in_any_order() -> None:
    async def play(world: World) -> list[str]:
        queue = world.queue.client(world.link(HOST, 0.01, Border.QUEUE))
        names = [f"{number:02d}" for number in range(10)]
        await queue.send(messages(*names))
        received = [message.body for message in await queue.receive(10, 0, 30)]
        assert sorted(received) == names
        return received

    assert simulate("1", Rules(), play) != sorted(simulate("1", Rules(), play))
    in_order = simulate("1", Rules(queue=QueueRules(any_order=False)), play)
    assert in_order == sorted(in_order)


def test_a_count_of_messages_is_up_to_a_minute_old() -> None:
    async def play(world: World) -> None:
        queue = world.queue.client(world.link(HOST, 0.01, Border.QUEUE))
        assert (await queue.depth()).work == 0
        await queue.send(messages("a"))
        counts = []
        for _ in range(70):
            counts.append((await queue.depth()).work)
            await asyncio.sleep(1.0)
        assert counts[0] == 0
        assert counts[-1] == 1

    simulate("1", Rules(), play)


ONE, OTHER = Item("one", ("shared",)), Item("other", ("shared",))


def test_a_transaction_conflicts_with_writes_and_a_read_transaction_is_in_nobody_s_way() -> None:
    async def play(world: World) -> None:
        tables = world.tables

        def nothing() -> None:
            pass

        tables.transact_write([ONE], nothing)
        with pytest.raises(Conflict):
            tables.write(ONE, nothing)
        with pytest.raises(Conflict):
            tables.transact_write([OTHER, ONE], nothing)
        with pytest.raises(Conflict):
            tables.transact_read(["one"], nothing)
        await asyncio.sleep(0.005)
        tables.transact_read(["one"], nothing)
        tables.write(ONE, nothing)
        tables.write(ONE, nothing)
        with pytest.raises(Conflict):
            tables.transact_read(["one"], nothing)
        assert world.history.totals[What.CONFLICT] == 4

    simulate("1", Rules(), play)


def test_a_partition_has_its_write_units_of_a_second_and_none_saved() -> None:
    async def play(world: World) -> None:
        await asyncio.sleep(100.0)
        for _ in range(10):
            world.tables.write(ONE, lambda: None)
        with pytest.raises(Throttled):
            world.tables.write(OTHER, lambda: None)
        await asyncio.sleep(0.2)
        world.tables.transact_write([OTHER], lambda: None)
        with pytest.raises(Throttled):
            world.tables.write(ONE, lambda: None)

    simulate("1", Rules(tables=TableRules(units_per_second=10.0)), play)


def test_a_write_that_is_refused_to_the_end_is_unavailable_storage() -> None:
    async def play(world: World) -> None:
        world.stock(units=0, shards=1)
        adapters = world.adapters(HOST, sweeps=True)
        product = (await adapters.inventory.get("acme", "TEA")).product
        with pytest.raises(StorageUnavailable):
            await adapters.inventory.put(product)

    simulate("1", Rules(tables=TableRules(units_per_second=1.0)), play)


@pytest.mark.parametrize("killed_at", [0.5, 1.5])
def test_a_machine_that_dies_runs_no_further_and_its_call_never_returns(killed_at: float) -> None:
    loop = new_loop(seeded("1"))
    done: list[str] = []

    async def work() -> None:
        await asyncio.sleep(1.0)
        done.append("effect")
        await asyncio.sleep(1.0)
        done.append("answer")

    async def live() -> None:
        host = Host("mortal")
        task = loop.start_on(host, work())
        await asyncio.sleep(killed_at)
        loop.kill(host)
        await asyncio.wait([task], timeout=10.0)
        assert not task.done()

    loop.run_until_complete(live())
    assert done == (["effect"] if killed_at > 1.0 else [])
    loop.close()
    assert "answer" not in done


def test_an_api_that_is_told_to_stop_answers_its_requests_and_sends_their_messages() -> None:
    async def play(world: World) -> None:
        world.stock(units=5, shards=1)
        api = world.fleet.start_api()
        order = PlaceOrder(customer=Customer(tenant=TENANT, id="ada"), quantities={SKU: 1})
        placing = api.start(world.loop, api.service.place(order, "key"))
        await asyncio.sleep(0.001)
        assert not world.store.orders, "the request has arrived, and its order is not stored yet"
        await world.fleet.stop_api(api)
        placed = (await placing).order
        assert world.queue.sends_of[placed.order_id] == 1

    simulate("1", Rules(), play)


def test_a_run_in_which_nothing_can_happen_any_more_ends() -> None:
    loop = new_loop(seeded("1"))

    async def wait_for_ever() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock):
        loop.run_until_complete(wait_for_ever())
    loop.close()


def test_a_task_whose_error_nobody_looks_at_fails_the_run() -> None:
    """It need not be destroyed by then, as one that something still refers to."""
    kept: list[asyncio.Task[None]] = []

    async def fail() -> None:
        raise LookupError("of a task")

    async def play(seconds: float) -> None:
        kept.append(asyncio.create_task(fail()))
        await asyncio.sleep(seconds)

    simulate("1", Rules(), lambda _: play(0.0))  # somebody may look at it yet
    with pytest.raises(RuntimeError, match="of a task"):
        simulate("1", Rules(), lambda _: play(2.0))


def test_every_order_of_ready_tasks_is_met() -> None:
    def play(seed: int) -> str:
        loop = new_loop(seeded(str(seed)))
        ran: list[str] = []

        async def step(name: str) -> None:
            ran.append(name)

        async def all_at_once() -> None:
            await asyncio.gather(*(step(name) for name in "abc"))

        loop.run_until_complete(all_at_once())
        loop.close()
        return "".join(ran)

    assert len({play(seed) for seed in range(100)}) == 6
