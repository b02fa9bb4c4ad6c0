"""A test that never ends fails within its limit, with the stack in which it waited, and the other tests continue."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ENDLESS = '''
import asyncio, threading, time
import pytest

def wait_in_vain():
    time.sleep(3600)

async def await_in_vain():
    await asyncio.sleep(3600)

@pytest.fixture
def endless():
    wait_in_vain()

def test_sleeps():
    threading.Thread(target=wait_in_vain, name="helper", daemon=True).start()
    wait_in_vain()

async def test_awaits():
    await await_in_vain()

def test_has_an_endless_fixture(endless):
    """Never begins."""

def test_swallows_every_exception():
    while True:
        try:
            wait_in_vain()
        except BaseException:
            pass

def test_goes_on():
    """Ends at once."""
'''


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Output of a run of the tests above with the project's configuration and shorter limits."""
    file = tmp_path_factory.mktemp("endless") / "test_endless.py"
    file.write_text(ENDLESS)
    options = [
        "-c",
        str(ROOT / "pyproject.toml"),
        "-p",
        "tests.timeouts",
        "-p",
        "no:cacheprovider",
        "-n",
        "1",
        "-o",
        "addopts=-rA",
    ]
    limits = ["-o", "timeout=0.5", "-o", "faulthandler_timeout=2"]
    command = [sys.executable, "-m", "pytest", *options, *limits, str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout + done.stderr


def section(report: str, title: str) -> str:
    """Return the part of the report about one test."""
    found = re.search(rf"^_+ {title} _+$(.*?)^[_=]{{3,}}", report, re.MULTILINE | re.DOTALL)
    assert found is not None, report
    return found[1]


@pytest.mark.parametrize(
    ("title", "frames"),
    [
        ("test_sleeps", ["thread MainThread", "in test_sleeps", "in wait_in_vain", "thread helper"]),
        ("test_awaits", ["task ", "in test_awaits", "in await_in_vain"]),
        ("ERROR at setup of test_has_an_endless_fixture", ["in endless", "in wait_in_vain"]),
    ],
)
def test_the_report_has_the_stack(report: str, title: str, frames: list[str]) -> None:
    told = section(report, title)
    assert "the test exceeded its limit of 0.5 s" in told
    assert [frame for frame in frames if frame not in told] == [], told


def test_where_the_limit_cannot_interrupt_the_process_ends_with_its_stacks(report: str) -> None:
    assert re.search(r"^Timeout .*\n(.*\n)*?.*in test_swallows_every_exception$", report, re.MULTILINE), report
    assert re.search(r"^FAILED .*::test_swallows_every_exception - worker", report, re.MULTILINE), report


def test_the_suite_goes_on(report: str) -> None:
    assert re.search(r"^PASSED .*::test_goes_on$", report, re.MULTILINE), report
