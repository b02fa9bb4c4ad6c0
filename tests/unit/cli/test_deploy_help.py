"""Manual pages that read well in a narrow terminal, and completion by the shell."""

import inspect
import re

import pytest
from typer.testing import CliRunner

from orderctl.main import app

VERBS = ("deploy", "promote", "rollback", "abort", "continue", "status", "history", "verify", "diff", "wait")
CHANGING = ("deploy", "promote", "rollback", "abort", "continue")
NARROW = {"COLUMNS": "80", "TERMINAL_WIDTH": "80"}


def page(*words: str) -> str:
    ended = CliRunner().invoke(app, [*words, "--help"], env=NARROW)
    assert ended.exit_code == 0
    return ended.output


@pytest.mark.parametrize("verb", VERBS)
def test_a_page_has_an_example_and_every_line_as_it_was_written(verb: str) -> None:
    shown = [line.strip() for line in page(verb).splitlines()]
    (command,) = (
        each for each in app.registered_commands if verb in {each.name, getattr(each.callback, "__name__", "")}
    )
    _, *written = (  # after the first paragraph, which is put together
        line.strip() for line in (inspect.getdoc(command.callback) or "").splitlines() if line.strip() not in {"", "\b"}
    )
    assert any(line.startswith(f"orderctl {verb} order-") for line in written)
    assert [line for line in written if line not in shown] == []


@pytest.mark.parametrize("verb", CHANGING)
def test_what_changes_something_can_be_tried_and_read_by_programs(verb: str) -> None:
    text = page(verb)
    for option in ("--dry-run", "--yes", "--reason", "--output"):
        assert option in text


def test_the_first_page_names_every_verb() -> None:
    text = page()
    assert "Run and operate the order platform." in text
    assert "Deployments" in text
    for verb in VERBS:
        assert re.search(rf"^\S {verb} ", text, re.MULTILINE), verb


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("deploy ", {"order-api", "order-processor", "order-notifier"}),
        ("rollback order-p", {"order-processor"}),
        ("deploy order-api --env ", {"dev", "uat", "prod"}),
        ("status order-api --env p", {"prod"}),
        ("promote order-api --from d", {"dev"}),
        ("promote order-api --from dev --to u", {"uat"}),
        ("wait order-api --for B", {"BAKE_TIME"}),
    ],
)
def test_a_shell_offers_what_can_follow(typed: str, offered: set[str]) -> None:
    words = f"orderctl {typed}"
    env = {"_ORDERCTL_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    ended = CliRunner().invoke(app, [], env=env, prog_name="orderctl")
    assert set(ended.output.split()) == offered
