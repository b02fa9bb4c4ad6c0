"""Set-up of every run: surroundings, time limits, and the form of failures."""

from tests import surroundings

surroundings.settle()  # first: typer and rich read the environment when they are imported

from functools import cache  # noqa: E402

import pytest  # noqa: E402
import structlog  # noqa: E402
import typer.testing  # noqa: E402

from tests import engines  # noqa: E402
from tests.timeouts import pytest_timeout_set_timer  # noqa: E402

__all__ = ["pytest_addoption", "pytest_report_header", "pytest_timeout_set_timer"]

structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)
"""Tracebacks without the values of all variables, which take seconds to render."""

typer.testing._get_command = cache(typer.testing._get_command)  # type: ignore[attr-defined]
"""Build the tree of orderctl's commands once per session: building it takes longer than most commands."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--lame-duck-seconds", type=float, default=4.0, help="of tests/e2e/test_lame_duck.py; 20 on AWS")
    parser.addoption("--all-pages", action="store_true", help="tests/browser examines every page, in every view")


def pytest_report_header() -> str:
    missing = engines.dynamodb_local_missing()
    return f"contract suite: skipped on DynamoDB Local, {missing}" if missing else "contract suite: on all engines"
