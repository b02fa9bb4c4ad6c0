"""Start of every program, before it reads its settings."""

import os
import sys
from collections.abc import MutableMapping
from importlib.metadata import version

from aws_json_client.proxies import exempt_loopback

PROPAGATORS = "OTEL_PROPAGATORS"


def begin(program: str) -> None:
    """Prepare this process for settings of the machine that our libraries cannot handle.

    Print the version and exit if the only argument is `--version`. `program` is the name of the distribution. A program
    that uses OpenTelemetry calls this before it imports it.
    """
    open_missing_streams()
    settle_environment(os.environ)
    if os.environ.pop(PROPAGATORS, "tracecontext").strip() not in ("", "tracecontext", "tracecontext,baggage"):
        # OpenTelemetry fails at its import if a propagator is not installed.
        sys.stderr.write(f"{PROPAGATORS} is ignored: the trace context is always W3C's traceparent\n")
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"{program} {version(program)}\n")
        sys.exit()


def settle_environment(environ: MutableMapping[str, str]) -> None:
    """Prepare variables that botocore reads itself: no blank ones, no white space, and no proxy for this machine."""
    for name in [name for name in environ if name.startswith("AWS_")]:
        environ[name] = environ[name].strip()
        if not environ[name]:
            del environ[name]
    exempt_loopback(environ)


def open_missing_streams() -> None:
    """Open `/dev/null` for each standard stream that the caller closed, so that no other file gets its number.

    Characters that the encoding of a stream does not have are written escaped.
    """
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - for the process's life
        elif name != "stdin" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
