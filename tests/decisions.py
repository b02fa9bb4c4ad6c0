"""Format and index of the decision records. `python -m tests.decisions`, a part of `make docs`, writes the index."""

import re
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "docs" / "decisions"
INDEX = FOLDER / "README.md"
HEAD = re.compile(
    r"# (?P<number>\d+)\. (?P<title>.+)\n\n\*\*Status\.\*\* (?P<status>.+?)\.? \*\*Date\.\*\* (?P<date>\S+)\.\n"
)
STATUS = re.compile(
    r"Accepted|Accepted\. Supersedes \[(?P<older>\d+)\]\((?P<older_file>\S+)\)"
    r"|Superseded by \[(?P<newer>\d+)\]\((?P<newer_file>\S+)\)"
)
DATE = re.compile(r"\d{4}-\d\d-\d\d")
PARTS = ("Context", "Decision", "Consequences")
PART = re.compile(r"^\*\*([A-Z]\w+)\.\*\*", re.MULTILINE)
LONGEST_LINE = 140

IMPERATIVE = re.compile(
    r"Accept|Acknowledge|Add|Allow|Answer|Apply|Authenticate|Avoid|Bound|Build|Call|Check|Choose|Compute"
    r"|Declare|Deploy|Derive|Drop|Encrypt|Expose|Extend|Generate|Group|Ignore|Inject|Install|Keep|Limit|List|Make"
    r"|Measure|Move|Name|Notify|Plan|Publish|Read|Record|Refuse|Release|Remove|Rename|Replace|Retry|Return"
    r"|Run|Schedule|Separate|Serve|Share|Show|Sign|Split|Spread|Store|Sweep|Use|Validate|Verify|Write"
)
"""Verbs with which a title may begin. Add yours."""

INTRODUCTION = """# Decisions

One record for each decision that is not obvious from the code: the context, the decision, and its consequences. The
decision of an accepted record does not change. A later record supersedes it, and both name each other in their status.

A new record has the next number and this form. The title is the decision in the imperative. `make docs` writes this
index.

```markdown
# 34. Store each order once

**Status.** Accepted. **Date.** 2026-12-01.

**Context.** …

**Decision.** …

**Consequences.** …
```

| number | decision | status | date |
|---|---|---|---|
"""


def records() -> list[Path]:
    return sorted(path for path in FOLDER.glob("*.md") if path != INDEX)


def index() -> str:
    """Return the index that the first lines of the records give. Raises ValueError."""
    return INTRODUCTION + "".join(map(_row, records()))


def faults(record: Path, text: str) -> Iterator[str]:
    """Yield every deviation of a record from the format."""
    head = HEAD.match(text)
    if head is None or f"{int(head['number']):04d}" != record.name[:4]:
        yield "begins with its number, title, status and date"
        return
    verb = head["title"].split()[0]
    if not IMPERATIVE.fullmatch(verb):
        yield f"has a title in the imperative; {verb} is not in the list of verbs"
    if not (status := STATUS.fullmatch(head["status"])):
        yield "is Accepted, Accepted. Supersedes [n](file), or Superseded by [n](file)"
    else:
        yield from _one_sided(record, status)
    if not DATE.fullmatch(head["date"]):
        yield "has a date such as 2026-12-01"
    if (parts := tuple(PART.findall(text[head.end() :]))) != PARTS:
        yield f"has the parts {', '.join(PARTS)}, not {', '.join(parts)}"
    if longest := [number for number, line in enumerate(text.splitlines(), 1) if len(line) > LONGEST_LINE]:
        yield f"has lines of at most {LONGEST_LINE} characters, unlike {longest}"


def _one_sided(record: Path, status: re.Match[str]) -> Iterator[str]:
    """Yield a fault if the other record of a supersession does not name this one."""
    for other, name, answer in (
        (status["older"], status["older_file"], "Superseded by"),
        (status["newer"], status["newer_file"], "Supersedes"),
    ):
        if other and not (FOLDER / name).is_file():
            yield f"names {name}, which does not exist"
        elif other and f"{answer} [{int(record.name[:4])}]({record.name})" not in (FOLDER / name).read_text("utf-8"):
            yield f"is named in the status of {name}"


def _row(record: Path) -> str:
    text = record.read_text(encoding="utf-8")
    if found := [*faults(record, text)]:
        raise ValueError(f"{record.name} must be a record that {found[0]}")
    head = HEAD.match(text)
    assert head is not None
    return f"| {head['number']} | [{head['title']}]({record.name}) | {head['status']} | {head['date']} |\n"


if __name__ == "__main__":
    INDEX.write_text(index(), encoding="utf-8")
