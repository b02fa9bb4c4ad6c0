"""The fake of ECS for tests with an event loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fake_ecs import Ecs, Seed, running_ecs


@asynccontextmanager
async def open_ecs(seed: Seed | None = None, **options: Any) -> AsyncIterator[Ecs]:
    """Start and stop it in a thread: both wait for it."""
    running = running_ecs(seed, **options)
    ecs = await asyncio.to_thread(running.__enter__)
    try:
        yield ecs
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)
