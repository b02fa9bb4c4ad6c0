"""Each page and fragment of every site, by the rule."""

import signal

import pytest
import uvicorn
from playwright.async_api import Browser

from tests.browser.conftest import AddressOf
from tests.browser.rule import ALL_VIEWS, VIEWS, faults_of
from tests.browser.screenshots import IMAGES, LAB_PICTURE, PICTURES
from tests.browser.sites import SITES, Site


@pytest.mark.asyncio(loop_scope="session")
async def test_a_page_has_no_fault(
    browser: Browser, address_of: AddressOf, subject: tuple[Site, str, bool], request: pytest.FixtureRequest
) -> None:
    site, path, is_fragment = subject
    views = ALL_VIEWS if request.config.getoption("--all-pages") else VIEWS
    found = await faults_of(browser, await address_of(site) + path, is_fragment=is_fragment, views=views)
    assert [str(each) for each in found] == []


@pytest.mark.asyncio(loop_scope="session")
async def test_a_site_takes_no_signal_from_later_tests(address_of: AddressOf) -> None:
    for site in SITES:
        await address_of(site)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert not [each for each in handlers if isinstance(getattr(each, "__self__", None), uvicorn.Server)]


def test_every_picture_of_the_documents_is_taken_by_make_screenshots() -> None:
    assert {path.name for path in IMAGES.iterdir()} == {LAB_PICTURE, *(picture.file for picture in PICTURES)}
