"""Logs: one JSON object per line, also for libraries, and no secrets in tracebacks."""

import errno
import io
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import pytest
import structlog

from order_shared.runtime.logging import configure_logging


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def fail_with_a_secret_at_hand() -> None:
    token = "eyJ-a-secret"
    raise ValueError(f"{len(token)} characters")


def test_lines_of_the_platform_and_of_libraries_have_the_same_format(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO")
    structlog.get_logger("ours").info("order_ended", order_id="ord_1")
    logging.getLogger("a.library").warning("%s things", 3)
    logging.getLogger("botocore").info("chatter")
    ours, library = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (ours["event"], ours["order_id"], ours["level"], ours["logger"]) == ("order_ended", "ord_1", "info", "ours")
    assert (library["event"], library["level"], library["logger"]) == ("3 things", "warning", "a.library")
    assert set(ours) - {"order_id"} == set(library)


def test_a_traceback_shows_no_local_variable(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO")
    try:
        fail_with_a_secret_at_hand()
    except ValueError:
        structlog.get_logger("ours").exception("request_crashed")
    line = capsys.readouterr().out
    assert json.loads(line)["exception"][0]["exc_type"] == "ValueError"
    assert "a-secret" not in line


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


def test_lines_on_a_terminal_are_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.BytesIO()
    monkeypatch.setattr("sys.stdout", Terminal(screen, write_through=True))
    configure_logging("INFO")
    structlog.get_logger("ours").info("order_ended", order_id="ord_1")
    logging.getLogger("a.library").warning("%s things", 3)
    ours, library = screen.getvalue().decode().splitlines()
    assert ("order_ended" in ours, "ord_1" in ours, "3 things" in library) == (True, True, True)
    assert not ours.startswith("{")


class FullDisk(io.BytesIO):
    def write(self, _: object) -> int:
        raise OSError(errno.ENOSPC, "no space left")


def test_a_line_that_cannot_be_written_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(FullDisk(), write_through=True))
    configure_logging("INFO")
    structlog.get_logger("ours").info("order_ended")


@pytest.mark.parametrize("value", ["half a character: \ud800", 2**70, {1: "a"}, object()])
def test_values_that_json_cannot_represent_are_written_as_text(
    value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("INFO")
    structlog.get_logger("ours").info("odd", value=value)
    logging.getLogger("a.library").warning("odd %s", value)
    assert [json.loads(line)["level"] for line in capsys.readouterr().out.splitlines()] == ["info", "warning"]


@contextmanager
def stdout_is_a_pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[BinaryIO]:
    """Yield the reader of the pipe."""
    read, write = os.pipe()
    with open(read, "rb") as reader, open(write, "w") as writer:  # noqa: PTH123 - descriptors
        monkeypatch.setattr("sys.stdout", writer)
        yield reader


@pytest.mark.parametrize("may_open_again", [True, False])
def test_a_stalled_reader_does_not_block_the_process(monkeypatch: pytest.MonkeyPatch, *, may_open_again: bool) -> None:
    with stdout_is_a_pipe(monkeypatch) as pipe:
        if not may_open_again:
            monkeypatch.setattr(os, "open", refuse)
        configure_logging("INFO")
        log = structlog.get_logger("ours")
        for number in range(2000):
            log.info("order_ended", number=number, text="x" * (number % 9000))
            logging.getLogger("a.library").warning("%s things", number)
        lines, cut = read_lines(pipe)
        log.info("order_ended", number=-1)
        rest, _ = read_lines(pipe, cut)
    *finished, notice, last = rest
    assert (lines[0]["number"], notice["event"], last["number"]) == (0, "log_lines_dropped", -1)
    assert notice["count"] == 4000 - len(lines) - len(finished)


def refuse(*_: object) -> int:
    raise PermissionError


def read_lines(pipe: BinaryIO, begun: bytes = b"") -> tuple[list[Any], bytes]:
    """Return the complete lines in the pipe, and the start of a partial one."""
    os.set_blocking(pipe.fileno(), False)
    *lines, cut = (begun + (pipe.read() or b"")).split(b"\n")
    return [json.loads(line) for line in lines], cut
