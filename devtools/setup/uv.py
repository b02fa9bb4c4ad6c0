"""uv, found on the path or installed into `.local/uv`, and called with the caller's settings that are kept."""

import contextlib
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from devtools.setup import settings

VERSION = "0.13.8"
PYTHON = Path(sys.executable).resolve()
"""The interpreter to use; in an activated environment, the one that the environment was created from."""
LIBC = ctypes.CDLL(None)  # loaded here, because the child may not allocate while this process has threads
PR_SET_PDEATHSIG = 1  # of linux/prctl.h
CANNOT_INSTALL = "cannot install uv: Python's venv module (Debian: python3-venv) and a package index are required"


class UvFailed(Exception):
    """A call of uv or pip failed; its output is on the terminal."""


def find_uv(root: Path, environ: Mapping[str, str]) -> Path:
    """Return the path of uv. Install it into `.local/uv` if it is not on the path."""
    on_path = shutil.which("uv", path=environ.get("PATH"))
    if on_path:
        return Path(on_path)
    ours = root / ".local" / "uv"
    uv = ours / "bin" / "uv"
    if not uv.exists() or version_of(uv).split()[:2] != ["uv", VERSION]:
        _install_uv(ours, environ)
    return uv


def version_of(uv: Path) -> str:
    """Return the output of `uv --version`; empty if it cannot run."""
    try:
        return run([str(uv), "--version"], env={}, stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout.strip()
    except OSError:
        return ""


def run(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    stdout: int | IO[str] | None = None,
    stderr: int | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. It is killed if this process is interrupted or ends first. Raises OSError."""
    process: subprocess.Popen[str] | None = None
    try:
        with _postponed():
            process = subprocess.Popen(
                command,
                env=env,
                cwd=cwd,
                stdout=stdout,
                stderr=stderr,
                text=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - it allocates nothing
            )
        output, errors = process.communicate()
        return subprocess.CompletedProcess(command, process.returncode, output, errors)
    except BaseException:
        if process is not None:
            process.kill()
            process.wait()
        raise


@contextlib.contextmanager
def _postponed() -> Iterator[None]:
    """Handle the signals that arrive in the block after it.

    Python drops an exception that a signal handler raises while it forks, and does not return a process whose start
    was interrupted.
    """
    arrived: list[int] = []
    caught = [each for each in (signal.SIGINT, signal.SIGTERM) if callable(signal.getsignal(each))]
    handlers = {each: signal.signal(each, lambda number, _frame: arrived.append(number)) for each in caught}
    try:
        yield
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)
        if arrived:
            signal.raise_signal(arrived[0])


def _end_with_parent() -> None:
    """Let the kernel end this process with its parent, even if that is killed. Only on Linux."""
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _install_uv(folder: Path, environ: Mapping[str, str]) -> None:
    sys.stderr.write(f"uv is not installed: installing version {VERSION} into {folder}\n")
    ours = settings.without_settings(environ)
    read_by_pip = ("PIP_CONFIG_FILE", *map(settings.pip_variable, settings.KEPT_BY_PIP))
    theirs = {name: environ[name] for name in read_by_pip if environ.get(name)}
    pip = [str(folder / "bin" / "python"), "-I", "-m", "pip"]
    try:
        venv = [sys.executable, "-I", "-m", "venv", "--clear", str(folder)]
        run(venv, env=ours, stdout=sys.stderr).check_returncode()
        listing = run([*pip, "config", "list"], env=ours | theirs, stdout=subprocess.PIPE)
        listing.check_returncode()
        kept = settings.pip_variables(listing.stdout)
        install = [*pip, "install", "--quiet", "--disable-pip-version-check", f"uv=={VERSION}"]
        run(install, env=ours | kept | {"PIP_CONFIG_FILE": os.devnull}, stdout=sys.stderr).check_returncode()
    except subprocess.CalledProcessError as error:
        raise UvFailed(CANNOT_INSTALL) from error


def _locked_index(root: Path) -> str:
    """Return the package index in the lock file; empty if there is none."""
    named = re.search(r'registry = "([^"]+)"', (root / "uv.lock").read_text(encoding="utf-8"))
    return named[1].rstrip("/") if named else ""


def _has_cache(environ: Mapping[str, str]) -> bool:
    """Return whether uv can use its default cache. A user without an entry in passwd may have no home folder."""
    caches = environ.get("XDG_CACHE_HOME") or (environ.get("HOME") and f"{environ['HOME']}/.cache")
    try:
        folder = Path(caches or "/nonexistent", "uv")
        folder.mkdir(parents=True, exist_ok=True)
        return os.access(folder, os.W_OK)
    except OSError:
        return False


class Uv:
    """Calls of uv in the project's folder, with the caller's settings that are kept.

    Without `index` the caller's indexes are dropped too, because they change a lock file.
    """

    def __init__(self, root: Path, path: Path, environ: Mapping[str, str], *, index: bool = True) -> None:
        self._root = root
        self._path = path
        variables = settings.uv_variables(environ, index=index)
        self._configuration = settings.uv_configuration(environ, index=index)
        self.has_mirror = settings.has_mirror(variables, self._configuration, _locked_index(root))
        self._environ = settings.without_settings(environ)
        self._environ |= {"UV_SYSTEM_CERTS": "1", **variables}
        if "UV_CACHE_DIR" not in variables and "cache-dir" not in self._configuration and not _has_cache(environ):
            self._environ["UV_CACHE_DIR"] = str(root / ".local" / "cache" / "uv")
        self._environ |= {"UV_PYTHON": str(PYTHON), "UV_PYTHON_DOWNLOADS": "never"}

    def run(self, *arguments: str, environment: Path | None = None) -> None:
        """Run a uv command, with `environment` as the project's environment. Raises UvFailed."""
        with tempfile.TemporaryDirectory() as folder:
            configuration = Path(folder, "uv.toml")  # may hold an index's credentials; the folder is private
            configuration.write_text(settings.to_toml(self._configuration), encoding="utf-8")
            environ = {**self._environ, "UV_CONFIG_FILE": str(configuration)}
            if environment is not None:
                environ["UV_PROJECT_ENVIRONMENT"] = str(environment)
            command = [str(self._path), *arguments]
            try:
                done = run(command, env=environ, cwd=self._root, stdout=sys.stderr)
            except OSError as error:
                raise UvFailed(f"cannot run uv: {error}") from error
        if done.returncode:
            raise UvFailed(f"uv {' '.join(arguments)}: exit code {done.returncode}")
