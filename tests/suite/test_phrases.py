"""The phrase check finds an odd phrase in every kind of text, and nothing in plain text or code."""

from pathlib import Path

import pytest
import typer
import typer.main

from tests.phrases.__main__ import HELP, PAGES, TESTS, group_of, groups, main
from tests.phrases.phrases import LIST, PhraseList, known, parse
from tests.phrases.report import measure
from tests.phrases.texts import (
    Text,
    of_dashboard,
    of_file,
    of_help,
    of_makefile,
    of_markdown,
    of_python,
    of_rules,
)

PLANTED = PhraseList(parse("stands? beside => is next to\nlet go => release\n[openings]\nWhether => Return"))

PYTHON = '''"""A module that stands beside another.

The second paragraph also
stands beside it.
"""

# This comment stands beside
# the code.
LIMIT = 3  # stands beside the limit
NAME = "stands-beside"
"""Attribute docstring that stands beside it."""


def check() -> bool:
    """Whether the thing passes."""
    log.info("lease_let_go", reason="it stands beside")
    raise ValueError(f"{NAME} stands beside {LIMIT}")
'''

DASHBOARD = """{
  "title": "Orders",
  "panels": [
    {"title": "What stands beside", "description": "A panel that stands beside it.", "targets": [{"expr": "let go"}]}
  ]
}"""

RULES = """# A rule that stands beside.
groups:
  - name: orders
    rules:
      - alert: OrderLate
        annotations:
          summary: An order stands beside.
"""

MAKEFILE = """##@ Stands beside it
# A note that stands beside.
setup: other ## Make what stands beside
\t@echo "the file stands beside"
"""

PAGE = """# A page that stands beside

A paragraph with `code that stands beside` and [a link](https://example.com/stands-beside).

```sh
echo stands beside
```

```mermaid
flowchart LR
    a -- "stands beside" --> b
```

| column |
|---|
| stands beside |
"""


def found(texts: list[Text]) -> list[tuple[str, int]]:
    return sorted((finding.text.kind, finding.line) for text in texts for finding in PLANTED.find(text))


def test_python_is_read_whole() -> None:
    assert found([*of_python("module.py", PYTHON)]) == [
        ("comment", 7),
        ("comment", 9),
        ("docstring", 1),
        ("docstring", 4),
        ("docstring", 11),
        ("docstring", 15),
        ("error", 17),
        ("log event", 16),
        ("text", 16),
    ]


def test_a_page_is_read_without_its_code() -> None:
    assert found([*of_markdown("page.md", PAGE)]) == [("page", 1), ("page", 11), ("page", 16)]


def test_help_and_messages_of_the_makefile_are_read() -> None:
    assert found([*of_makefile("Makefile", MAKEFILE)]) == [("help", 1), ("help", 2), ("help", 3), ("message", 4)]


def test_titles_and_descriptions_of_panels_are_read() -> None:
    assert found([*of_dashboard("orders.json", DASHBOARD)]) == [("panel's description", 4), ("panel's title", 4)]


def test_annotations_and_comments_of_rules_are_read() -> None:
    assert found([*of_rules("alerts.yml", RULES)]) == [("alert", 7), ("comment", 1)]


def test_help_of_every_subcommand_and_option_is_read() -> None:
    app, inner = typer.Typer(help="Stands beside."), typer.Typer()

    @inner.command(epilog="Stands beside.")
    def show(limit: int = typer.Option(3, help="Stands beside the limit.")) -> None:
        """Show what stands beside."""

    @inner.command()
    def hide() -> None:
        """Hide an order."""

    app.add_typer(inner, name="orders")
    texts = [*of_help(typer.main.get_command(app), "orderctl")]
    planted = [finding.text.path for text in texts for finding in PLANTED.find(text)]
    assert planted == ["orderctl", *["orderctl orders show"] * 3]


def test_a_phrase_is_found_across_a_line_break_and_in_capitals() -> None:
    text = Text(path="a.md", line=5, kind="page", words="The page\nSTANDS\nbeside it.")
    (finding,) = PLANTED.find(text)
    assert str(finding) == 'a.md:6: page has "stands beside"; write is next to'


def test_openings_are_looked_for_in_docstrings_only() -> None:
    words = "Whether it passes"
    kinds = ("docstring", "comment", "page")
    texts = [Text(path="a.py", line=1, kind=kind, words=words) for kind in kinds]
    assert [finding.text.kind for text in texts for finding in PLANTED.find(text)] == ["docstring"]


def test_a_part_of_a_word_is_no_phrase() -> None:
    assert not [*PLANTED.find(Text(path="a.py", line=1, kind="comment", words="understands besides; outlet gone"))]


def test_numbers_are_per_thousand_words_and_openings_are_apart() -> None:
    texts = [
        Text(path="a.py", line=1, kind="docstring", words="Whether " + "word " * 498 + "let go"),
        Text(path="a.py", line=9, kind="docstring", words="word " * 499),
    ]
    group = measure("a", texts, [finding for text in texts for finding in PLANTED.find(text)])
    assert (group.words, group.docstrings, group.per_thousand, group.openings_percent) == (1000, 2, 1.0, 50.0)
    assert not group.passes
    assert measure("a", texts, []).passes


def test_a_line_that_is_no_expression_is_named() -> None:
    with pytest.raises(ValueError, match="line 2 of the list"):
        parse("let go\n(open => closed\n")


def test_every_line_of_the_list_finds_something_and_names_a_replacement() -> None:
    rows = [line for line in LIST.read_text(encoding="utf-8").splitlines() if line and line[0] not in "#["]
    assert len(rows) > 50
    assert [row for row in rows if not row.partition("=>")[2].strip()] == []


@pytest.mark.parametrize(
    "words",
    [
        "Says again what was lost: every order that is still open.",
        "Give it the customers? The deployment waits for a word.",
        "Who asks is said by the token.",
        "In a long outage a message is let go.",
        "The tables stand in an environment of their own.",
    ],
)
def test_the_list_finds_sentences_that_were_hard_to_read(words: str) -> None:
    assert [*known().find(Text(path="a.md", line=1, kind="page", words=words))]


@pytest.mark.parametrize(
    "words",
    [
        "Republish the message of every order still open past its due time.",
        "Shift production traffic to green? The deployment is paused, waiting for approval.",
        "The bearer token identifies the caller.",
        "With `Prefer: wait=N` the server waits up to N seconds for the order to finish.",
        "Connection pool for one host. Raises StorageUnavailable after the deadline.",
    ],
)
def test_the_list_accepts_plain_sentences(words: str) -> None:
    assert not [*known().find(Text(path="a.md", line=1, kind="page", words=words))]


def test_files_are_counted_in_the_longest_package() -> None:
    packages = {"shared", "devtools", "devtools/devstack"}
    assert group_of("devtools/devstack/src/devstack/stack.py", packages) == "devtools/devstack"
    assert group_of("devtools/services.py", packages) == "devtools"
    assert group_of("shared/README.md", packages) == "shared"
    assert group_of("docs/api.md", packages) == group_of("README.md", packages) == PAGES
    assert group_of("tests/bench/peers/echo.py", packages) == TESTS
    assert group_of("uv.lock", packages) is None


def test_files_without_prose_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text('{"title": "stands beside"}')
    assert of_file(tmp_path, "data.json") == []


def test_the_repository_s_packages_pages_and_help_are_measured() -> None:
    assert {*groups([PAGES, HELP, "shared", "Makefile"])} == {PAGES, HELP, "shared", "Makefile"}


def test_the_command_names_file_line_and_phrase_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = Text(path="a.md", line=4, kind="page", words="A lease is let go.")
    monkeypatch.setattr("tests.phrases.__main__.groups", lambda _: {"pages": [text], "tests": [text]})
    assert main([]) == 1
    printed, failed = capsys.readouterr()
    assert 'a.md:4: page has "let go"; write "release" a lease' in printed
    assert "FAIL pages: 200.0 odd phrases in 1,000 of 5 words" in printed
    assert failed == "too many odd phrases: pages\n"
