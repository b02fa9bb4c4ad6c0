"""One reader feeds all viewers of the Lab."""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field

import pytest

from devstack.lab.feed import Feed
from tests.waiting import eventually


@dataclass
class Source:
    """Source of numbers that count the readings. The first `failures` readings after the first one fail."""

    readings: int = 0
    failures: int = 0
    allowed: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self) -> int:
        await self.allowed.wait()
        self.readings += 1
        if 1 < self.readings <= 1 + self.failures:
            raise RuntimeError("planted")
        return self.readings


@pytest.fixture
def source() -> Source:
    source = Source()
    source.allowed.set()
    return source


async def test_a_viewer_gets_the_state_at_once_and_after_each_reading(source: Source) -> None:
    async with aclosing(Feed(source.read, pause=0.01).follow()) as states:
        seen = [await anext(states) for _ in range(4)]
    assert [state for _, state in seen] == sorted({state for _, state in seen})
    assert [number for number, _ in seen] == sorted({number for number, _ in seen})


async def test_any_number_of_viewers_share_the_readings(source: Source) -> None:
    feed = Feed(source.read, pause=0.01)

    async def view() -> int:
        async with aclosing(feed.follow()) as states:
            async for _, state in states:
                if state >= 5:
                    return state
        raise AssertionError

    assert await asyncio.gather(*(view() for _ in range(20))) == [5] * 20
    assert source.readings <= 6


async def test_nothing_is_read_without_a_viewer(source: Source) -> None:
    feed = Feed(source.read, pause=0.001)
    async with aclosing(feed.follow()) as states:
        await anext(states)
    before = source.readings
    await asyncio.sleep(0.02)
    assert source.readings == before


async def test_readers_who_ask_at_once_wait_for_one_reading(source: Source) -> None:
    source.allowed.clear()
    feed = Feed(source.read)
    asking = [asyncio.create_task(feed.latest()) for _ in range(3)]
    await asyncio.sleep(0)
    source.allowed.set()
    assert await asyncio.gather(*asking) == [1, 1, 1]
    feed.outdate()
    assert await feed.latest() == 2


async def test_a_reading_that_fails_is_followed_by_another(source: Source) -> None:
    source.failures = 3
    async with aclosing(Feed(source.read, pause=0.001).follow()) as states:
        assert (await anext(states))[1] == 1
        assert (await anext(states))[1] == 5
    await eventually(lambda: source.readings >= 5)


async def test_a_slow_reading_delays_no_page_after_the_first(source: Source) -> None:
    feed = Feed(source.read)
    assert await feed.soon(0.01) == 1
    source.allowed.clear()
    feed.outdate()
    assert await feed.soon(0.01) == 1
    source.allowed.set()
    await eventually(lambda: source.readings == 2, "the reading, which continued")
