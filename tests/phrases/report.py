"""Odd phrases of a package in numbers, and the limits."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.phrases.phrases import Finding
from tests.phrases.texts import Text

MOST_PER_THOUSAND = 1.5
MOST_OPENINGS_PERCENT = 3.0


@dataclass(frozen=True, kw_only=True)
class Group:
    """The texts of one package, of the pages or of a program's help, as numbers."""

    name: str
    words: int
    docstrings: int
    findings: Sequence[Finding]

    @property
    def per_thousand(self) -> float:
        """Odd phrases per 1,000 words; openings are counted apart."""
        return 1000 * sum(not each.phrase.opening for each in self.findings) / max(self.words, 1)

    @property
    def openings_percent(self) -> float:
        """Share of docstrings that begin with a preposition or a pronoun."""
        return 100 * sum(each.phrase.opening for each in self.findings) / max(self.docstrings, 1)

    @property
    def passes(self) -> bool:
        return self.per_thousand <= MOST_PER_THOUSAND and self.openings_percent <= MOST_OPENINGS_PERCENT

    def __str__(self) -> str:
        line = f"{'OK  ' if self.passes else 'FAIL'} {self.name}: "
        line += f"{self.per_thousand:.1f} odd phrases in 1,000 of {self.words} words"
        if self.docstrings:
            line += f", {self.openings_percent:.0f} % of {self.docstrings} docstrings begin oddly"
        return line


def measure(name: str, texts: Sequence[Text], findings: Sequence[Finding]) -> Group:
    """Return the numbers of a group."""
    return Group(
        name=name,
        words=sum(text.length for text in texts),
        docstrings=sum(text.kind == "docstring" for text in texts),
        findings=findings,
    )
