"""The suite is independent of settings of a terminal, a runner or a developer."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import surroundings

ROOT = Path(__file__).parents[2]

HOSTILE = {
    "CI": "true",
    "GITHUB_ACTIONS": "true",
    "FORCE_COLOR": "1",
    "CLICOLOR_FORCE": "1",
    "NO_COLOR": "1",
    "PY_COLORS": "1",
    "TTY_COMPATIBLE": "1",
    "TTY_INTERACTIVE": "1",
    "TERMINAL_WIDTH": "20",
    "TERM": "xterm-256color",
    "COLORTERM": "truecolor",
    "COLUMNS": "20",
    "LINES": "3",
    "TZ": "Pacific/Apia",
    "LANG": "tr_TR.UTF-8",
    "LC_ALL": "C",
    "LC_CTYPE": "POSIX",
    "PYTHONWARNINGS": "error",
    "PYTHONOPTIMIZE": "2",
    "PYTHONDONTWRITEBYTECODE": "1",
    "AWS_PROFILE": "no-such-profile",
    "AWS_REGION": "mars-north-1",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_CONFIG_FILE": "/no/such/file",
    "AWS_CA_BUNDLE": "/no/such/file",
    "HTTP_PROXY": "http://127.0.0.1:1",
    "ALL_PROXY": "socks5://127.0.0.1:1",
    "all_proxy": "socks5://127.0.0.1:1",
    "NO_PROXY": "[::1]",
    "OTEL_SDK_DISABLED": "true",
    "OTEL_PROPAGATORS": "xray",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
    "ORDER_ENV": "prod",
    "ORDER_TRACES_SAMPLE_RATIO": "2",
    "ORDER_API_URL": "http://127.0.0.1:1",
    "NODE_OPTIONS": "--no-such-option",
    "JAVA_TOOL_OPTIONS": "-Dno.such.option=1",
    "MAKEFLAGS": "n",
    "MAKELEVEL": "1",
}
"""One value of each setting that failed a test, or may fail the next one."""

SAMPLE = (
    "tests/unit/cli/test_deploy_help.py",
    "tests/unit/shared/test_config.py",
    "tests/infra/test_operate_refusals.py::test_a_host_stays_while_feature_environments_stand",
    "tests/e2e/test_orderctl_orders.py::test_what_was_asked_for_wrongly_is_told",
)
"""Tests of printed output, and of settings."""


def own_environment() -> dict[str, str]:
    """Return the environment of the suite, without the variables that pytest and moto set."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "AWS_"))}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_setting_makes_no_difference(name: str) -> None:
    plain = own_environment()
    assert surroundings.cleaned({**plain, name: HOSTILE[name]}) == surroundings.cleaned(plain)


def test_the_suite_runs_with_these_settings_only() -> None:
    assert own_environment().keys() <= surroundings.cleaned(own_environment()).keys()


def test_a_sample_passes_under_all_of_them_and_with_ignored_signals() -> None:
    ignoring = ["bash", "-c", 'trap "" INT HUP TERM; exec "$@"', "bash"]
    pytest_ = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", *SAMPLE]
    kept = {name: value for name, value in HOSTILE.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [*ignoring, *pytest_], cwd=ROOT, env=own_environment() | kept, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


CHILD = """
import json, signal, sys
names = [each.name for each in signal.Signals if signal.getsignal(each) is signal.SIG_IGN]
print(json.dumps([sorted({*names} - {"SIGPIPE", "SIGXFSZ"}), sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ()))]))
"""

PARENTS = {
    "the suite": """
import subprocess
from tests import surroundings
surroundings.reset_signals()
subprocess.run([sys.executable, "-c", CHILD], check=True)
""",
    "the local stack": """
import os, pathlib, tempfile
from devstack.processes import ProcessGroup
with tempfile.TemporaryDirectory() as logs:
    with ProcessGroup(pathlib.Path(logs)) as group:
        child = group.start("child", [sys.executable, "-c", CHILD], dict(os.environ))
        child.process.wait()
    print(child.log())
assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN, "what the caller ignores stays ignored"
assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == {signal.SIGTERM, signal.SIGUSR1}
""",
}


@pytest.mark.parametrize("parent", PARENTS)
def test_children_have_the_default_signals(parent: str) -> None:
    program = f"""
import signal, sys
CHILD = {CHILD!r}
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGCHLD):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGTERM, signal.SIGUSR1}})
""" + PARENTS[parent]
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[], []]


def test_variables_by_which_targets_steer_the_suite_are_kept() -> None:
    """Those of `make reference`, which would test our own client without its variable."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    (target,) = re.findall(r"^reference:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    given = dict(re.findall(r"([A-Z_]+)=(\w+)", target))
    assert given == {"PYTEST_AWS_CLIENT": "aioboto3"}
    assert surroundings.cleaned(given).items() >= given.items()
