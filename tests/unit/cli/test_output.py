"""Output of every verb: no encoding, no width, and no closed or full stream makes it fail with a traceback."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest
import typer.main

from orderctl import terminal
from orderctl.main import app
from tests.commands import ORDERCTL
from tests.suite.sources import calls, mentions, shipped
from tests.surroundings import FIXED

ASCII = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
WIDTHS = ("0", "-1", "", "wide", "00", "1", "٣", "1_0")


def leaves(command: Any, *path: str) -> Iterator[tuple[str, ...]]:
    """Yield each verb of orderctl, as words."""
    if isinstance(command, click.Group) or hasattr(command, "commands"):
        for name, each in command.commands.items():
            yield from leaves(each, *path, name)
    else:
        yield path


VERBS = list(leaves(typer.main.get_command(app)))


def run(*words: str, environ: Mapping[str, str] | None = None, redirect: str = "") -> subprocess.CompletedProcess[str]:
    """Run orderctl by a shell, with redirections."""
    command = ["bash", "-c", f'exec "$@" {redirect}', "bash", *ORDERCTL, *words]
    return subprocess.run(command, env=dict(FIXED) | dict(environ or {}), capture_output=True, text=True, check=False)


ALL_VERBS = """
import io, os, sys
from orderctl.main import app
verbs, told = [line.split() for line in sys.argv[1].splitlines()], int(sys.argv[2])
outputs = {}
for number in (1, 2):
    try:
        outputs[number] = os.dup(number)
    except OSError:
        pass
for verb in verbs:
    for number, output in outputs.items():
        os.dup2(output, number)
    try:
        app([*verb, "--help"], prog_name="orderctl")
    except SystemExit as ended:
        os.write(told, f"{' '.join(verb)}: {ended.code}\\n".encode())
"""


def codes(environ: Mapping[str, str], redirect: str = "") -> tuple[dict[str, str], str]:
    """Return the exit code of `--help` of each verb, and what one process printed for all of them."""
    listed = "\n".join(" ".join(verb) for verb in VERBS)
    command = ["bash", "-c", f'exec 7>&1; exec "$@" {redirect}', "bash", sys.executable, "-c", ALL_VERBS, listed, "7"]
    done = subprocess.run(command, env=dict(FIXED) | dict(environ), capture_output=True, text=True, check=False)
    told = (line.partition(": ") for line in done.stdout.splitlines() if line.partition(": ")[2].isdecimal())
    return {verb: code for verb, _, code in told}, done.stdout + done.stderr


def expected(code: str) -> dict[str, str]:
    return {" ".join(verb): code for verb in VERBS}


@pytest.mark.parametrize("width", WIDTHS)
def test_a_width_in_which_nothing_can_be_read_is_ignored(width: str) -> None:
    environ = {"COLUMNS": width, "TERMINAL_WIDTH": width, "LINES": "24", "TERM": "xterm"}
    terminal.drop_unusable_size(environ)
    assert environ == {"LINES": "24", "TERM": "xterm"}


def test_every_verb_prints_without_a_width() -> None:
    found, printed = codes({"COLUMNS": "0", "LINES": "0", "TERMINAL_WIDTH": "0"})
    assert found == expected("0")
    assert len(printed) > 500 * len(found)


def test_every_verb_prints_in_ascii() -> None:
    found, printed = codes(ASCII)
    assert found == expected("0")
    assert "Traceback" not in printed


@pytest.mark.parametrize("redirect", ["<&- >&- 2>&-", ">/dev/full", ">/dev/full 2>/dev/full"])
def test_every_verb_ends_with_any_output(redirect: str) -> None:
    found, printed = codes({}, redirect)
    assert found == expected("1" if "full" in redirect else "0")
    assert "Traceback" not in printed
    assert "Exception ignored" not in printed


TOKEN = ("local", "token", "--tenant", "acme", "--customer", "ada", "--state")


def test_a_full_disk_is_told_on_the_other_output(tmp_path: Path) -> None:
    done = run(*TOKEN, str(tmp_path), redirect=">/dev/full")
    told = "the output cannot be written: No space left on device\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", told)


def test_a_closed_pipe_ends_it_without_a_traceback(tmp_path: Path) -> None:
    done = run(*TOKEN, str(tmp_path), redirect="> >(true)")
    assert done.returncode in (0, 1)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("state", ["file/state", "file", "/proc/no-such-folder"])
def test_a_state_folder_that_cannot_be_used_is_named_with_another_one(tmp_path: Path, state: str) -> None:
    (tmp_path / "file").touch()
    done = run(*TOKEN, str(tmp_path / state))
    assert done.returncode == 2
    assert f"--state: the folder {tmp_path / state} cannot be used" in done.stderr
    assert "such as --state " in done.stderr


def test_a_broken_key_in_the_state_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "issuer.pem").write_text("no key")
    done = run(*TOKEN, str(tmp_path))
    assert done.returncode == 1
    assert f"{tmp_path / 'issuer.pem'} contains no RSA key; remove the file" in done.stdout + done.stderr


PRINTERS = {
    ("cli/src/orderctl/commands/top.py", "_page"): "a page of a fixed size, and a picture",
    ("cli/src/orderctl/main.py", "_answer_version"): "the version",
    ("devtools/devstack/src/devstack/commands/local.py", "token"): "a token, which no console may wrap",
    ("infra/operate/gc.py", "gc"): "JSON, which no console may wrap",
    ("infra/operate/outputs.py", "outputs"): "JSON, which no console may wrap",
}
"""Each function that prints past the terminal module, with its reason."""
DIRECT = re.compile(
    r"print|pprint\..+|rich\.(print|print_json|inspect|get_console)|rich\.console\.Console|(typer|click)\.s?echo"
)
STREAMS = {
    "cli/src/orderctl/commands/deployment/report.py": "asks whether it is a terminal",
    "cli/src/orderctl/commands/top.py": "asks whether it is a terminal",
    "cli/src/orderctl/terminal.py": "is where verbs print",
    "infra/operate/environment_plan.py": "asks whether it is a terminal",
    "infra/operate/terraform.py": "flushes it before Terraform prints",
}
"""Files that mention a standard stream, each with its reason."""


def in_verbs(path: str) -> bool:
    return path.startswith(("cli/", "infra/operate/", "operations/", "devtools/devstack/src/devstack/"))


def test_verbs_print_by_the_terminal_only() -> None:
    """Its consoles escape, never fail for an encoding, and tell of an output that cannot be written."""
    printing = [each for each in calls(shipped()) if DIRECT.fullmatch(each.name) and in_verbs(each.path)]
    assert {(each.path, each.function) for each in printing} == PRINTERS.keys()
    assert terminal.console.soft_wrap is False


def test_verbs_use_no_stream_directly() -> None:
    streams = ("stdout", "stderr", "__stdout__", "__stderr__")
    assert {path for path, name in mentions(shipped(), "sys") if name in streams and in_verbs(path)} == STREAMS.keys()
