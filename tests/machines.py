"""`make demo` in fresh clones on machines with settings of their own: `make check-machines`.

Each machine is a clone, environment variables, and a way to start. The first one is plain, and fills uv's cache; those
whose proxies lead nowhere use that cache only.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
LIMIT_SECONDS = 600.0
NOBODY = 54321
"""A user id without an entry in passwd."""
BURST = 20
"""Orders of the burst: a machine is not slower with other settings, so that few are enough."""
DEAD = "127.0.0.1:9"
DONE = "All checks passed"


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine. `folder` is the name of the clone; `start` is put before `make demo`."""

    name: str
    environ: Mapping[str, str] = field(default_factory=dict)
    folder: str = "clone"
    start: Sequence[str] = ()
    prepare: Callable[[Path], Mapping[str, str]] = lambda _: {}
    unless: str = ""
    """Reason to skip it here."""


def theirs(clone: Path) -> Mapping[str, str]:
    """Make a user's configuration and project of uv, and an environment that must not be changed."""
    project, configuration = clone.parent / "theirs", clone.parent / "config"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", project], check=True)
    (configuration / "uv").mkdir(parents=True)
    (configuration / "uv" / "uv.toml").write_text('exclude-newer = "2024-01-01"\nresolution = "lowest"\n', "utf-8")
    return {
        "XDG_CONFIG_HOME": str(configuration),
        "UV_PROJECT_ENVIRONMENT": str(project),
        "UV_PROJECT": str(project),
        "UV_NO_DEV": "1",
        "UV_PRERELEASE": "allow",
        "UV_RESOLUTION": "lowest-direct",
        "PIP_TARGET": str(project),
        "PIP_REQUIRE_VIRTUALENV": "1",
        "PYTHONPATH": str(project),
        "PYTHONSAFEPATH": "1",
        "PYTHONOPTIMIZE": "2",
        "VIRTUAL_ENV": str(project),
    }


def hand_over(clone: Path) -> Mapping[str, str]:
    """Give the clone to a user that only has a number."""
    clone.parent.chmod(0o755)
    for path in (clone, *clone.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    return {"HOME": "/nonexistent", "USER": "", "LOGNAME": ""}


OFFLINE = {"UV_OFFLINE": "1"}
AS_NOBODY = (f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
NO_ROOT = "" if os.geteuid() == 0 and shutil.which("setpriv") else "needs root and setpriv"

SOCKS = {"ALL_PROXY": f"socks5://{DEAD}"}
BRACKETS = {"NO_PROXY": "[::1]", "HTTPS_PROXY": f"http://{DEAD}"}
PROXY = {"HTTP_PROXY": f"http://{DEAD}", "http_proxy": f"http://{DEAD}"}
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
OTEL = {"OTEL_PROPAGATORS": "xray", "OTEL_BSP_MAX_QUEUE_SIZE": "100"}
TRACES = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{DEAD}",
    "OTEL_BSP_MAX_QUEUE_SIZE": "100",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "50",
}
AWS = {"AWS_PROFILE": "nosuch", "AWS_REGION": "", "AWS_ENDPOINT_URL": ""}
NARROW = {"COLUMNS": "0", "TERM": "dumb"}
UMASK = ("bash", "-c", 'umask 077; exec "$@"', "bash")

MACHINES = (
    Machine(name="plain"),
    Machine(name="ALL_PROXY=socks5://…", environ={**SOCKS, **OFFLINE}),
    Machine(name="NO_PROXY=[::1]", environ={**BRACKETS, **OFFLINE}),
    Machine(name="HTTP_PROXY without NO_PROXY", environ={**PROXY, **OFFLINE}),
    Machine(name="ASCII locale", environ=ASCII),
    Machine(name="no passwd entry", start=("setpriv", *AS_NOBODY), prepare=hand_over, unless=NO_ROOT),
    Machine(name="path with spaces", folder="a path with spaces"),
    Machine(name="umask 077", start=UMASK),
    Machine(name="settings of uv, pip and Python", prepare=theirs),
    Machine(name="OTEL_PROPAGATORS=xray", environ=OTEL),
    Machine(name="traces to a dead collector", environ=TRACES),
    Machine(name="AWS_PROFILE=nosuch", environ=AWS),
    Machine(name="COLUMNS=0, no terminal", environ=NARROW),
    Machine(
        name="all of these at once",
        environ={**SOCKS, **BRACKETS, **PROXY, **ASCII, **OTEL, **AWS, **NARROW, **OFFLINE},
        start=UMASK,
        folder="a path with spaces",
        prepare=theirs,
    ),
)


@dataclass(frozen=True)
class Result:
    seconds: float
    fault: str
    """Empty if it passed."""
    output: str


def try_on(machine: Machine, folder: Path) -> Result:
    """Run the demonstration in a new clone below the folder. The clone is removed."""
    clone = folder / machine.folder
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone)], check=True)
    environ = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "UV_CACHE_DIR") if name in os.environ}
    environ["PATH"] = f"{ROOT / '.local' / 'uv' / 'bin'}{os.pathsep}{environ.get('PATH', '')}"
    environ |= {**machine.environ, **machine.prepare(clone)}
    began = time.monotonic()
    # Written to a file, because a process that is left over would keep a pipe open.
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output,
        subprocess.Popen(
            [*machine.start, "make", "-C", str(clone), "demo", f"BURST={BURST}"],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
        ) as process,
    ):
        try:
            code = process.wait(timeout=LIMIT_SECONDS)
            fault = f"exit code {code}" if code else ""
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            fault = f"took more than {LIMIT_SECONDS:.0f} s"
        except BaseException:  # Ctrl-C
            os.killpg(process.pid, signal.SIGTERM)
            raise
        seconds = time.monotonic() - began
        output.seek(0)
        said = output.read()
    return Result(seconds, fault or ("" if DONE in said else "told no result"), said)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="machines whose name contains this text")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    chosen = [each for each in MACHINES if parser.parse_args().only in each.name]
    console = Console(highlight=False, markup=False, width=100)
    table = Table("machine", "make demo", "seconds", box=box.SIMPLE_HEAD)
    failed = False
    for machine in chosen:
        if machine.unless:
            table.add_row(machine.name, f"skipped: {machine.unless}", "")
            continue
        with tempfile.TemporaryDirectory(prefix="machine-") as folder:
            result = try_on(machine, Path(folder))
        failed |= bool(result.fault)
        table.add_row(machine.name, result.fault or "passes", f"{result.seconds:.0f}")
        console.print(f"{machine.name}: {result.fault or 'passes'}, {result.seconds:.0f} s")
        if result.fault:
            console.print("\n".join(result.output.splitlines()[-25:]))
    console.print(table)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
