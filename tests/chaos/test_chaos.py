"""A small, fixed part of `make chaos`: it proves that the command works as much as that the platform does."""

import asyncio
from collections.abc import Iterator

import pytest

from devstack.stack import Stack, running_infrastructure
from tests.chaos.crashes import ONE_OF_EACH, SETTINGS, Lane, find_points
from tests.chaos.faults import ALL_KINDS
from tests.chaos.scenarios import FAILED, REFUSED, ErrorKind, run_crowd, run_saved_errors
from tests.chaos.scenes import Scene, paid
from tests.chaos.world import open_world

LANES = 4


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_infrastructure(tmp_path_factory.mktemp("chaos")) as started:
        yield started


async def test_a_crowd_under_all_kinds_of_fault_and_a_kill(stack: Stack) -> None:
    async with open_world(stack, "crowd-", records=True) as world:
        result = await run_crowd(world, "seed 1", ALL_KINDS, customers=40, kills=1)
        walked = world.recorder.walker.taken
    assert {"accept", "receive", "reserve", "note_payment", "confirm", "confirm_unpaid", "acknowledge"} <= walked.keys()
    assert result.verdict.details == []
    assert result.orders >= 30
    assert result.injected >= 40


@pytest.mark.parametrize("kind", [REFUSED, FAILED], ids=["refuses our requests", "saves server errors"])
async def test_a_provider_that_saves_its_errors_rejects_no_order(
    stack: Stack, request: pytest.FixtureRequest, kind: ErrorKind
) -> None:
    async with open_world(stack, "refusals-" if kind is REFUSED else "errors-") as world:
        result = await run_saved_errors(world, request.node.callspec.id, kind, customers=15, seconds=2)
    assert result.verdict.details == []
    assert result.injected > 0


async def test_a_processor_killed_at_each_request_of_a_paid_order(stack: Stack) -> None:
    scene = Scene(paid)
    async with open_world(stack, "record-", ONE_OF_EACH, settings=SETTINGS) as world:
        points = find_points({scene: await Lane(world).record(scene)})
    operations = {point.operation for point in points}
    assert {"ReceiveMessage", "TransactWriteItems", "POST /v1/payment_intents/{id}/confirm"} <= operations
    assert len(points) == 2 * len({(point.operation, point.ordinal) for point in points}), "before and after each"

    async def run_points(number: int) -> None:
        async with open_world(stack, f"lane{number}-", ONE_OF_EACH, settings=SETTINGS, records=True) as world:
            lane = Lane(world)
            while points:
                result = await lane.run(points.pop())
                assert result.verdict.details == [], result.scenario
                assert result.injected == 1

    await asyncio.gather(*map(run_points, range(LANES)))
