"""The project's environments. Each complete one has a stamp file with the inputs that it was built from."""

import hashlib
import json
import os
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devtools.setup.uv import PYTHON, Uv

STAMP = "setup.stamp"


@dataclass(frozen=True, kw_only=True)
class Environment:
    """An environment of a project. `folder` and `project` are relative to the root.

    `within` is a larger environment in the same folder, which is kept if it is installed.
    """

    name: str
    project: str
    folder: str
    options: tuple[str, ...] = ()
    within: "Environment | None" = None


PROJECTS = (".", "devtools/devstack/emulator", "infra", "tests/bench/peers", "tests/generators")
"""Folders with their own lock file."""


ALONE = ("--no-dev", "--no-install-workspace")
WHEELS = ".local/wheels"


def packages(root: Path) -> list[str]:
    """Return the names of the workspace's packages."""
    return [_pyproject(path)["project"]["name"] for path in _members(root)]


def environments(root: Path) -> dict[str, Environment]:
    """Return the environments by name. The environment of a package contains only the dependencies of that package."""
    workspace = Environment(name="workspace", project=".", folder=".venv")
    every = (
        workspace,
        Environment(name="demo", project=".", folder=".venv", options=("--only-group", "demo"), within=workspace),
        Environment(
            name="reference", project=".", folder=".local/reference", options=("--no-dev", "--group", "reference")
        ),
        Environment(name="emulator", project="devtools/devstack/emulator", folder="devtools/devstack/emulator/.venv"),
        Environment(name="infra", project="infra", folder="infra/.venv"),
        Environment(name="peers", project="tests/bench/peers", folder=".local/bench/peers"),
        Environment(name="generators", project="tests/generators", folder=".local/generators"),
        *(
            Environment(name=each, project=".", folder=f".local/alone/{each}", options=(*ALONE, "--package", each))
            for each in packages(root)
        ),
    )
    return {each.name: each for each in every}


def set_up(environment: Environment, root: Path, uv: Uv, uv_version: str) -> None:
    """Create the environment, unless its stamp shows that it is up to date.

    If its folder contains the larger environment, update that one instead.
    """
    folder = root / environment.folder
    stamp = folder / STAMP
    larger = environment.within
    if larger and _stamped(folder)[0].get("options") == list(larger.options):
        environment = larger  # keep the packages that are installed
    wanted = _made_of(environment, root, uv_version)
    if _is_complete(folder, wanted):
        return
    with _progress(f"creating the environment {environment.folder}"):
        stamp.unlink(missing_ok=True)
        if uv.has_mirror or (folder.exists() and not _has_interpreter(folder)):
            uv.run("venv", "--quiet", "--clear", str(folder))
        if uv.has_mirror:
            _install_from_mirror(environment, folder, uv)
        chosen = ("--project", environment.project, *environment.options)
        uv.run("sync", "--quiet", "--frozen", *chosen, environment=folder)
        _write(stamp, {"made of": wanted, "packages": sorted(_packages(folder))})


def install_wheels(alone: Sequence[Environment], root: Path, uv: Uv) -> None:
    """Build all wheels. Install each named package and its dependencies of this workspace into its environment."""
    uv.run("build", "--quiet", "--wheel", "--all-packages", "--clear", "--out-dir", WHEELS)
    ours = [f"--reinstall-package={name}" for name in packages(root)]
    for environment in alone:
        python = str(root / environment.folder / "bin" / "python")
        options = ("--quiet", "--no-index", "--find-links", WHEELS, "--python", python)
        uv.run("pip", "install", *options, *ours, environment.name)


@contextmanager
def _progress(what: str) -> Iterator[None]:
    """Print the action, one dot per second while it runs, and its duration."""
    began, ended = time.monotonic(), threading.Event()

    def write_dots() -> None:
        while not ended.wait(1):
            write(".")

    def write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

    write(f"{what} ")
    dots = threading.Thread(target=write_dots, daemon=True)
    dots.start()
    try:
        yield
    finally:
        ended.set()
        dots.join()
        write(f" {time.monotonic() - began:.0f} s\n")


def _install_from_mirror(environment: Environment, folder: Path, uv: Uv) -> None:
    """Install the locked versions from the caller's index, and require the hashes of the lock file.

    `uv sync` would download from the addresses in the lock file. It keeps packages that are already installed.
    """
    with tempfile.TemporaryDirectory() as temporary:
        locked = str(Path(temporary, "requirements.txt"))
        what = ("--frozen", "--no-emit-workspace", "--project", environment.project, *environment.options)
        uv.run("export", "--quiet", *what, "--output-file", locked)
        options = ("--quiet", "--no-deps", "--require-hashes", "--python", str(folder / "bin" / "python"))
        uv.run("pip", "install", *options, "--requirement", locked)


def _made_of(environment: Environment, root: Path, uv_version: str) -> dict[str, Any]:
    return {
        "folder": str(root / environment.folder),  # absolute, so that a moved environment is built again
        "python": f"{PYTHON} {sys.version}",
        "uv": uv_version,
        "options": list(environment.options),
        "inputs": {str(path.relative_to(root)): _digest(path) for path in _inputs(root / environment.project)},
    }


def _inputs(project: Path) -> list[Path]:
    """Return the lock file, and the pyproject.toml of the project and of its workspace's members."""
    return [project / "uv.lock", project / "pyproject.toml", *_members(project)]


def _members(project: Path) -> list[Path]:
    workspace = _pyproject(project / "pyproject.toml").get("tool", {}).get("uv", {}).get("workspace", {})
    return [path for each in workspace.get("members", ()) for path in sorted(project.glob(f"{each}/pyproject.toml"))]


def _pyproject(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _is_complete(folder: Path, wanted: dict[str, Any]) -> bool:
    """Return whether the environment was built from these inputs and still has its interpreter and packages."""
    made_of, packages = _stamped(folder)
    return made_of == wanted and _has_interpreter(folder) and packages <= _packages(folder)


def _stamped(folder: Path) -> tuple[dict[str, Any], set[str]]:
    """Return the inputs and the packages in the environment's stamp; both empty without a valid stamp."""
    try:
        stamped = json.loads((folder / STAMP).read_text(encoding="utf-8"))
        return dict(stamped["made of"]), set(stamped["packages"])
    except (OSError, ValueError, LookupError, TypeError):
        return {}, set()


def _has_interpreter(folder: Path) -> bool:
    """Return whether the folder is an environment with a working link to its interpreter."""
    return (folder / "pyvenv.cfg").is_file() and os.access(folder / "bin" / "python", os.X_OK)


def _packages(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("lib/python*/site-packages/*.dist-info")}


def _write(stamp: Path, content: dict[str, Any]) -> None:
    """Write a file atomically."""
    written = stamp.with_suffix(".new")
    written.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    written.replace(stamp)
