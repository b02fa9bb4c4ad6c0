"""Descriptions in Markdown (CommonMark with tables) as HTML. HTML in a description is shown as text."""

from collections.abc import Iterator
from dataclasses import dataclass

import htpy as h
from markdown_it import MarkdownIt
from markupsafe import Markup

from order_pages.frame import breakable

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
_MARKDOWN.add_render_rule("code_inline", lambda _, tokens, index, *__: str(h.code[breakable(tokens[index].content)]))


@dataclass(frozen=True, kw_only=True)
class Section:
    """Part of a text under a heading of the second level; the first part has an empty title."""

    title: str
    text: str

    @property
    def anchor(self) -> str:
        return self.title.lower().replace(" ", "-")


def block(text: str) -> Markup:
    return Markup(_MARKDOWN.render(text))  # noqa: S704 - the parser escapes HTML


def inline(text: str) -> Markup:
    """Return a text without paragraphs around it."""
    return Markup(_MARKDOWN.renderInline(text))  # noqa: S704 - the parser escapes HTML


def sections(text: str) -> Iterator[Section]:
    """Yield the parts of a text, split at its headings of the second level."""
    for part in f"\n{text}".split("\n## "):
        title, _, rest = part.partition("\n")
        yield Section(title=title.strip(), text=rest)
