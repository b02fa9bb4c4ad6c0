"""The list of odd phrases: `phrases.txt`, one regular expression per line with the wording to write instead."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.phrases.texts import Text

LIST = Path(__file__).with_name("phrases.txt")
SEPARATOR = "=>"
OPENINGS = "[openings]"
"""The line of the list after which expressions are compared with the first words of docstrings only."""


@dataclass(frozen=True, kw_only=True)
class Phrase:
    """An odd phrase. `instead` is empty where the list has no proposal."""

    pattern: re.Pattern[str]
    instead: str
    opening: bool = False


@dataclass(frozen=True, kw_only=True)
class Finding:
    """An odd phrase in a text, with the line on which it begins."""

    text: Text
    line: int
    found: str
    phrase: Phrase

    def __str__(self) -> str:
        instead = f"; write {self.phrase.instead}" if self.phrase.instead else ""
        where = f"{self.text.kind} begins with" if self.phrase.opening else f"{self.text.kind} has"
        return f'{self.text.path}:{self.line}: {where} "{" ".join(self.found.split())}"{instead}'


def parse(lines: str) -> list[Phrase]:
    """Return the phrases of a list. Raises ValueError for a line that is no regular expression."""
    phrases, opening = [], False
    for number, line in enumerate(lines.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line.strip() == OPENINGS:
            opening = True
            continue
        expression, _, instead = (part.strip() for part in line.partition(SEPARATOR))
        try:
            pattern = re.compile(_anchored(expression.lower(), opening=opening))
        except re.error as error:
            raise ValueError(f"line {number} of the list is no regular expression: {error}") from error
        phrases.append(Phrase(pattern=pattern, instead=instead, opening=opening))
    return phrases


class PhraseList:
    """Phrases to look for. One expression for all of them finds the few texts that are worth a closer look."""

    def __init__(self, phrases: Sequence[Phrase]) -> None:
        self._phrases = [phrase for phrase in phrases if not phrase.opening]
        self._openings = [phrase for phrase in phrases if phrase.opening]
        self._any = re.compile("|".join(phrase.pattern.pattern for phrase in self._phrases) or r"(?!)")

    def find(self, text: Text) -> Iterator[Finding]:
        """Yield every odd phrase of a text. Openings are searched in docstrings only."""
        words = text.words.lower()
        phrases = self._phrases if self._any.search(words) else []
        for phrase in [*phrases, *(self._openings if text.kind == "docstring" else [])]:
            for match in phrase.pattern.finditer(words):
                line = text.line + words.count("\n", 0, match.start())
                yield Finding(text=text, line=line, found=match[0], phrase=phrase)


@cache
def known() -> PhraseList:
    """Return the project's own list."""
    return PhraseList(parse(LIST.read_text(encoding="utf-8")))


def _anchored(expression: str, *, opening: bool) -> str:
    """Return the expression between word boundaries, with any white space where it has a blank."""
    spaced = expression.replace(" ", r"\s+")
    return rf"\A\s*(?:{spaced})\b" if opening else rf"\b(?:{spaced})\b"
