"""The index of decision records: `python -m tests.decisions`, which `make docs` calls, writes it anew."""

import re
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "docs" / "decisions"
INDEX = FOLDER / "README.md"
HEAD = re.compile(r"# (\d+)\. (.+)\n\n\*\*Status\.\*\* (.+?)\.? \*\*Date\.\*\* (\d{4}-\d\d-\d\d)\.\n")
INTRODUCTION = """# Decisions

One record for each decision that is not obvious from the code: what was so, what was chosen, what it costs. A record's
text is not changed once it is accepted; a later record replaces it, and its status says which.

A new record takes the next number and this form, and `make docs` writes this index anew:

```markdown
# 33. The decision, in the imperative

**Status.** Accepted. **Date.** 2026-12-01.

**Context.** …

**Choice.** …

**What it costs.** …
```

| number | decision | status | date |
|---|---|---|---|
"""


def records() -> list[Path]:
    return sorted(path for path in FOLDER.glob("*.md") if path != INDEX)


def index() -> str:
    """Return the index as it has to be, by the first lines of each record."""
    return INTRODUCTION + "".join(map(_row, records()))


def _row(record: Path) -> str:
    found = HEAD.match(record.read_text(encoding="utf-8"))
    if found is None or int(found[1]) != int(record.name[:4]):
        raise ValueError(f"{record.name} does not begin with its number, its title, its status and its date")
    number, title, status, date = found.groups()
    return f"| {number} | [{title}]({record.name}) | {status} | {date} |\n"


if __name__ == "__main__":
    INDEX.write_text(index(), encoding="utf-8")
