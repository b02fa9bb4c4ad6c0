"""Frame of every page: head, navigation, main content."""

import re
from dataclasses import dataclass

import htpy as h

from order_pages.static_files import ICON, SCRIPT, STATUS_SCRIPT, STYLE, address_of

SCRIPTS = (STATUS_SCRIPT, SCRIPT)
"""Scripts of a live page, in the order in which they run."""

SEPARATORS = "_/.:"
SEPARATED = re.compile(f"([{re.escape(SEPARATORS)}])")

CONTENT = "content"
"""Id of the main content, the target of the first link of a page."""


@dataclass(frozen=True, kw_only=True)
class Link:
    path: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Site:
    """Pages with one name and one navigation."""

    name: str
    links: tuple[Link, ...] = ()

    def page(
        self,
        title: str,
        *content: h.Node,
        path: str = "",
        contents: h.Node = None,
        is_live: bool = False,
        lang: str = "en",
    ) -> str:
        """Return a page of the site, with its title as the only `h1`.

        `path` marks the current link of the navigation. `contents` are links to the parts of the page, shown left of it
        on wide screens and folded above it on others. Only a live page loads the scripts.
        """
        return str(
            h.html(lang=lang)[
                h.head[
                    h.meta(charset="utf-8"),
                    h.meta(name="viewport", content="width=device-width, initial-scale=1"),
                    h.title[f"{title} · {self.name}"],
                    h.link(rel="stylesheet", href=address_of(STYLE)),
                    h.link(rel="icon", type="image/svg+xml", href=address_of(ICON)),
                    [h.script(src=address_of(each), defer=True) for each in SCRIPTS if is_live],
                ],
                h.body[
                    h.a(".skip", href=f"#{CONTENT}")["Skip to the content"],
                    h.header[h.strong[self.name], self._navigation(path)],
                    h.div(class_={"columns": contents is not None})[
                        _contents(contents),
                        h.main(id=CONTENT, tabindex="-1")[h.h1[title], content],
                    ],
                ],
            ]
        )

    def _navigation(self, path: str) -> h.Node:
        if not self.links:
            return None
        return h.nav(aria_label="Pages")[
            (h.a(href=link.path, aria_current="page" if link.path == path else None)[link.text] for link in self.links)
        ]


def _contents(links: h.Node) -> h.Node:
    title = "On this page"
    return None if links is None else h.nav(aria_label=title)[h.details[h.summary[title], links]]


def breakable(text: str) -> h.Fragment:
    """Return a name that a browser may break after each underscore, slash, dot and colon."""
    return h.fragment[([part, h.wbr] if part in SEPARATORS else part for part in SEPARATED.split(text))]
