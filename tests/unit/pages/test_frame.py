"""Frame of a page, and its live parts."""

import htpy as h

from order_pages.frame import Link, Site, breakable
from order_pages.live import live_part, message
from order_pages.static_files import SCRIPT, STATUS_SCRIPT, STYLE, address_of

SITE = Site(name="Lab", links=(Link(path="/pages/lab", text="Lab"), Link(path="/pages/start", text="Start")))


def test_a_page_has_its_title_its_navigation_and_its_content() -> None:
    page = SITE.page("Kill & see", h.p["<none> was lost"], path="/pages/lab")
    assert page.startswith("<!doctype html>")
    assert '<html lang="en">' in page
    assert "<title>Kill &amp; see · Lab</title>" in page
    assert page.count("<h1>Kill &amp; see</h1>") == 1
    assert "<p>&lt;none&gt; was lost</p>" in page
    assert '<a href="/pages/lab" aria-current="page">Lab</a><a href="/pages/start">Start</a>' in page
    assert f'href="{address_of(STYLE)}"' in page
    assert page.index('href="#content"') < page.index("<header>") < page.index('<main id="content"')


def test_only_a_live_page_loads_the_scripts_and_htmx_comes_last() -> None:
    assert "<script" not in SITE.page("Lab")
    scripts = "".join(f'<script src="{address_of(each)}" defer></script>' for each in (STATUS_SCRIPT, SCRIPT))
    assert scripts in SITE.page("Lab", is_live=True)


def test_a_site_without_links_has_no_navigation() -> None:
    assert "<nav" not in Site(name="Order").page("Order")


def test_the_contents_come_before_the_content() -> None:
    page = SITE.page("Lab", contents=h.a(href="#kill")["Kill"])
    links = '<details><summary>On this page</summary><a href="#kill">Kill</a></details>'
    assert f'<div class="columns"><nav aria-label="On this page">{links}</nav><main' in page


def test_a_name_may_break_after_its_separators_only() -> None:
    assert str(breakable("a_<b>:c")) == "a_<wbr>&lt;b&gt;:<wbr>c"


def test_a_live_part_names_its_stream() -> None:
    part = str(live_part("counters", "/pages/lab/counters", h.p["accepted 0"]))
    assert 'hx-sse:connect="/pages/lab/counters"' in part
    assert part.index('data-live-status="counters"') < part.index('<div id="counters"') < part.index("accepted 0")


def test_a_message_has_the_whole_part_and_a_number() -> None:
    assert message(h.p["accepted\n500"], 7) == b"id: 7\ndata: <p>accepted\ndata: 500</p>\n\n"
