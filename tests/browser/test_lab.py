"""The Lab over a running stack: orders survive every fault that its page offers. Only `make test-browser` runs this."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Route, expect

from tests.browser.running_lab import Lab, running_lab
from tests.browser.test_live import HIDE
from tests.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(400)]

SCRIPT_DELAY_SECONDS = 0.3
HIDDEN_SECONDS = 5
VISITORS = 20


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    if not request.config.getoption("--all-pages"):
        pytest.skip("it takes minutes: `make test-browser` runs it")
    state = tmp_path_factory.mktemp("lab")
    async with running_lab(state) as address:
        yield address
    assert "was killed by SIGKILL" in (state / "up.log").read_text()


@pytest_asyncio.fixture(loop_scope="session")
async def lab(browser: Browser, address: str) -> AsyncIterator[Lab]:
    """A new experiment."""
    page = await browser.new_page()
    await page.goto(address)
    lab = Lab(page, address)
    await lab.press("Start a new experiment")
    await expect(page.get_by_role("status")).to_contain_text("Live")
    yield lab
    await page.close()


async def test_killing_processor_and_api_loses_and_doubles_nothing(lab: Lab) -> None:
    await lab.press("Place 500 orders")
    await lab.wait_until_accepted(60)
    await lab.press("Kill order-processor")
    await lab.press("Kill order-api")
    await lab.wait_until_accepted(200)
    await lab.press("Kill order-notifier")
    await lab.expect_counts(ended=500, accepted=500, lost=0, doubled=0, charged_twice=0, events_missing=0)
    await expect(lab.page.get_by_text("All orders have ended, and everything agrees")).to_be_visible()


async def test_orders_end_after_sqs_and_the_provider_did_not_respond(lab: Lab) -> None:
    await lab.press("Place 100 orders")
    await lab.press("Stop SQS for 15 s")
    await lab.press("Freeze the payment provider for 15 s")
    await expect(lab.page.get_by_text("does not respond", exact=True)).to_have_count(2)
    await lab.press("Send a poison message")
    await lab.expect_counts(ended=100, accepted=100, lost=0, doubled=0, charged_twice=0, dead_letters=1)


async def test_it_works_without_javascript(browser: Browser, lab: Lab) -> None:
    async with await browser.new_context(java_script_enabled=False) as context:
        page = await context.new_page()
        await page.goto(lab.address)
        await page.get_by_role("button", name="Place 100 orders").click()
        await expect(page.get_by_role("status")).to_contain_text("Reload the page")

        async def has_ended() -> bool:
            await page.reload()
            return await page.locator("#count-ended").inner_text() == "100"

        await eventually(has_ended, "the end of the orders", pause=0.5)


async def test_every_fresh_browser_goes_live(browser: Browser, lab: Lab) -> None:
    async def delay(route: Route) -> None:
        await asyncio.sleep(SCRIPT_DELAY_SECONDS)
        await route.continue_()

    async def visit() -> None:
        async with await browser.new_context() as fresh:
            await fresh.route("**/*.js", delay)
            page = await fresh.new_page()
            await page.goto(lab.address)
            await expect(page.get_by_role("status")).to_contain_text("Live", timeout=60_000)
            before = await page.get_by_text("Figures of").inner_text()
            await expect(page.get_by_text("Figures of")).not_to_have_text(before, timeout=60_000)

    await asyncio.gather(*(visit() for _ in range(VISITORS)))


async def test_a_hidden_tab_shows_the_present_state(lab: Lab) -> None:
    await lab.page.evaluate(HIDE, arg=True)
    await expect(lab.page.get_by_role("status")).to_contain_text("Paused")
    await lab.page.request.post(
        f"{lab.address}/orders", form={"count": "100"}, headers={"Origin": lab.address.removesuffix("/pages/lab")}
    )
    await asyncio.sleep(HIDDEN_SECONDS)  # as long as a person looks at another tab
    await lab.expect_counts(wanted=0)
    await lab.page.evaluate(HIDE, arg=False)
    await lab.expect_counts(wanted=100, ended=100)
