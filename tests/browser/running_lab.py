"""The Lab of a running stack, used as a person uses it."""

import json
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Page, expect

from tests.commands import ORDERCTL
from tests.waiting import eventually

END_MS = 240_000
"""Patience until all orders have ended: the sweeper looks again for an order after half a minute."""


@dataclass(frozen=True)
class Lab:
    page: Page
    address: str

    async def press(self, button: str) -> None:
        """Press a button, and check that the focus is at the result."""
        await self.page.get_by_role("button", name=button).click()
        await expect(self.page.locator("#result")).to_be_focused(timeout=30_000)

    async def expect_counts(self, **counts: int) -> None:
        for name, count in counts.items():
            locator = self.page.locator(f"#count-{name.replace('_', '-')}")
            await expect(locator).to_have_text(f"{count:,}", timeout=END_MS)

    async def wait_until_accepted(self, least: int) -> None:
        """Wait until so many orders are accepted."""

        async def is_reached() -> bool:
            return int((await self.page.locator("#count-accepted").inner_text()).replace(",", "")) >= least

        await eventually(is_reached, f"{least} accepted orders", pause=0.1)


@asynccontextmanager
async def running_lab(state: Path) -> AsyncIterator[str]:
    """Run `orderctl local up`, and yield the address of the Lab. The output is in `up.log` of the folder."""
    command = [*ORDERCTL, "local", "up", "--ports", "0", "--state", str(state)]
    with (state / "up.log").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        await eventually(lambda: process.poll() is not None or bool(pages_of(state)), "the pages")
        assert process.poll() is None, (state / "up.log").read_text()
        yield f"{pages_of(state)}/pages/lab"
    finally:
        process.send_signal(signal.SIGTERM)
        await eventually(lambda: process.poll() is not None, "the end of the stack")


def pages_of(state: Path) -> str:
    """Return the address of the pages; empty until they are served."""
    file = state / "stack.json"
    return str(json.loads(file.read_text())["pages"]) if file.exists() else ""
