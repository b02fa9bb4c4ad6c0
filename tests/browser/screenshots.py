"""Take pictures of the web pages: `make screenshots`.

The pictures of the documents are written to docs/images. One of each page in each view, for a look before a change is
merged, is written to .local/screenshots.
"""

import asyncio
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright, expect

from tests.browser.chromium import MISSING, find_chromium
from tests.browser.rule import ALL_VIEWS, HEIGHT, WIDE
from tests.browser.running_lab import Lab, running_lab
from tests.browser.sites import ORDER_API, SITES, Site

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
VIEWS = ROOT / ".local" / "screenshots"
LAB_PICTURE = "lab.png"
LAB_WIDTH, LAB_HEIGHT = 1000, 1070
PARTS_OF_LAB = 5
"""Processes whose state the Lab shows."""
MAX_HEIGHT = 4000
"""Part of a long page that is shown, in pixels."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Picture of a document. `path` may have an anchor, to which the page is scrolled."""

    file: str
    site: Site
    path: str


PICTURES = (Picture(file="api-reference.png", site=ORDER_API, path="/pages/api#placeOrder"),)


async def main() -> None:
    chromium = find_chromium()
    if chromium is None:
        sys.exit(MISSING)
    async with async_playwright() as playwright, await playwright.chromium.launch(executable_path=chromium) as browser:
        for site in SITES:
            async with site.open() as address:
                await _take_views(browser, site, address)
                await _take_pictures(browser, site, address)
        await _take_picture_of_lab(browser)


async def _take_pictures(browser: Browser, site: Site, address: str) -> None:
    IMAGES.mkdir(exist_ok=True)
    for picture in (each for each in PICTURES if each.site is site):
        page = await browser.new_page(viewport={"width": WIDE, "height": HEIGHT}, color_scheme="light")
        await page.goto(address + picture.path)
        await page.screenshot(path=IMAGES / picture.file)
        await page.close()


async def _take_picture_of_lab(browser: Browser) -> None:
    """Kill the processor and the API of a running stack with 500 orders in progress; show the figures at the end."""
    with tempfile.TemporaryDirectory() as folder:
        async with running_lab(Path(folder)) as address:
            page = await browser.new_page(viewport={"width": LAB_WIDTH, "height": LAB_HEIGHT}, color_scheme="light")
            await page.goto(address)
            lab = Lab(page, address)
            await lab.press("Place 500 orders")
            await lab.wait_until_accepted(100)
            await lab.press("Kill order-processor")
            await lab.press("Kill order-api")
            await lab.expect_counts(ended=500, accepted=500, messages=0)
            await expect(page.get_by_text("ready", exact=True)).to_have_count(PARTS_OF_LAB)
            await page.goto(address)  # without the result of the last action
            await expect(page.get_by_role("status")).to_contain_text("Live")
            await page.screenshot(path=IMAGES / LAB_PICTURE)
            await page.close()


async def _take_views(browser: Browser, site: Site, address: str) -> None:
    folder = VIEWS / site.name
    folder.mkdir(parents=True, exist_ok=True)
    page = await browser.new_page()
    for path in site.pages:
        await page.goto(address + path)
        for width, scheme in ALL_VIEWS:
            await page.set_viewport_size({"width": width, "height": HEIGHT})
            await page.emulate_media(color_scheme=scheme)
            name = f"{path.strip('/').replace('/', '-')}-{width}-{scheme}.png"
            await _take_upper_part(page, width, folder / name)
    await page.close()


async def _take_upper_part(page: Page, width: int, file: Path) -> None:
    height = min(await page.evaluate("document.documentElement.scrollHeight"), MAX_HEIGHT)
    await page.screenshot(path=file, full_page=True, clip={"x": 0, "y": 0, "width": width, "height": height})


if __name__ == "__main__":
    asyncio.run(main())
