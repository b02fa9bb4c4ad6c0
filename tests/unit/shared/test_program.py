"""Start of every program, with variables of the machine that the libraries cannot handle."""

import subprocess
import sys

import pytest

from order_shared.naming import SERVICE_NAMES

IGNORED = "OTEL_PROPAGATORS is ignored: the trace context is always W3C's traceparent\n"


def start(program: str, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", program.replace("-", "_"), *words]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("program", SERVICE_NAMES)
@pytest.mark.parametrize(
    ("value", "told"), [("xray", IGNORED), ("b3,tracecontext", IGNORED), ("tracecontext", ""), ("", "")]
)
def test_a_propagator_that_is_not_installed_is_ignored_with_a_warning(program: str, value: str, told: str) -> None:
    done = start(program, "--version", OTEL_PROPAGATORS=value)
    assert (done.returncode, done.stderr) == (0, told)
    assert done.stdout.startswith(f"{program} ")


@pytest.mark.parametrize("program", SERVICE_NAMES)
def test_wrong_settings_end_it_before_anything_starts(program: str) -> None:
    done = start(program, OTEL_PROPAGATORS="xray", ORDER_PORT="many")
    assert (done.returncode, done.stdout) == (2, "")
    assert "ORDER_PORT: must be a whole number from 0 to 65535, such as 8080\n" in done.stderr
    assert "Traceback" not in done.stderr
