"""The terminal of every command: what others wrote steers nothing, and each failure has its exit code."""

import io
import signal

import pytest
import typer
from rich.table import Table
from typer.testing import CliRunner

from orderctl import terminal
from orderctl.exceptions import CommandError, Failed, Interrupted, Refused, UsageError
from orderctl.main import app

HOSTILE = "\x1b]0;owned\x07 \x9b2J\r\u202e"
HARMLESS = r"\x1b]0;owned\x07 \x9b2J\r\u202e"


def assert_harmless(printed: str) -> None:
    assert not {"\x1b", "\x07", "\x9b", "\r", "\u202e"} & {*printed}


def test_what_others_wrote_steers_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal.console, "width", 200)
    table = Table(title=HOSTILE)
    table.add_column(HOSTILE)
    table.add_row(HOSTILE)
    terminal.console.print(HOSTILE)
    terminal.console.print(table)
    terminal.announce({"queue": HOSTILE}, HOSTILE)
    shown = "".join(capsys.readouterr())
    assert shown.count(HARMLESS) == 6, shown
    assert_harmless(shown)


def test_a_question_is_as_harmless(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(terminal, "can_ask", lambda: True)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    with pytest.raises(Refused, match="nothing was changed"):
        terminal.confirm(HOSTILE, yes=False)
    assert HARMLESS in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"), [(Failed("no"), 1), (UsageError("no"), 2), (Refused("no"), 3), (Interrupted("no"), 130)]
)
def test_each_failure_has_its_exit_code(error: CommandError, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, terminal.reported():
        raise error
    assert (ended.value.exit_code, capsys.readouterr().err) == (code, "no\n")


def test_a_signal_ends_a_command_and_says_how_things_are_left(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, terminal.reported("nothing was changed"):
        signal.raise_signal(signal.SIGTERM)
    assert (ended.value.exit_code, capsys.readouterr().err) == (130, "interrupted: nothing was changed\n")


@pytest.mark.parametrize("reason", [None, "", "  "])
def test_a_reason_has_words_where_one_is_required(reason: str | None) -> None:
    assert terminal.checked_reason(reason, required=False) == "-"
    with pytest.raises(UsageError, match="--reason"):
        terminal.checked_reason(reason, required=True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("pause", "--help"), "`pause` is now `freeze`"),
        (("top", "--json", "--help"), "`--json` is now `--output json`"),
    ],
)
def test_names_of_the_last_release_say_the_new_one_and_work(words: tuple[str, ...], told: str) -> None:
    ended = CliRunner().invoke(app, list(words))
    assert (ended.exit_code, told in ended.stderr) == (0, True)


@pytest.mark.parametrize("character", ["\x85", "\x9b", "\u061c", "\u200e", "\u2028", "\u2029", "\u202e", "\u2066"])
def test_controls_that_older_orders_may_have_are_printed_escaped(character: str) -> None:
    assert terminal.printable(f"PO{character}7") == f"PO{character.encode('unicode_escape').decode()}7"
