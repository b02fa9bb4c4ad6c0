"""Programs of the generators, and folders in which they generate clients from the committed documents."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = Path(__file__).parent
OPENAPI = ROOT / "docs" / "openapi.json"
ASYNCAPI = ROOT / "docs" / "asyncapi.json"
PYTHON = ROOT / ".local" / "generators" / "bin"
"""Programs of the environment `generators`."""
NODE = ROOT / ".local" / "generators-npm"
"""Packages of npm."""
NPM_FILES = ("package.json", "package-lock.json")
FILES = (
    "package.json",
    "asyncapi.mjs",
    "openapi-ts.config.mjs",
    "redocly.yaml",
    "tsconfig.json",
    "scenarios/openapi_fetch.ts",
    "scenarios/hey.ts",
)
TYPESCRIPT_CLIENT = ROOT / "clients" / "typescript"
TIME_LIMIT = 300.0


@dataclass(frozen=True)
class Done:
    succeeded: bool
    output: str


def run(command: Sequence[str | Path], folder: Path) -> Done:
    """Run a command, with the programs of both environments on the path. Its output may have no colours."""
    path = os.pathsep.join([str(PYTHON), str(NODE / "node_modules" / ".bin"), os.environ.get("PATH", os.defpath)])
    environ = {**os.environ, "PATH": path, "NO_COLOR": "1", "CI": "true", "REDOCLY_TELEMETRY": "off"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIME_LIMIT,
        check=False,
    )
    return Done(done.returncode == 0, done.stdout)


def install_npm_packages(sources: Path, folder: Path) -> str | None:
    """Install the packages that are locked in `sources` into `folder`, unless they are installed.

    Return the reason why that is impossible here, or None.
    """
    if shutil.which("npm") is None:
        return "npm is not installed"
    modules = folder / "node_modules"
    wanted = b"".join((sources / name).read_bytes() for name in NPM_FILES)
    stamp = modules / "installed"
    if stamp.exists() and stamp.read_bytes() == wanted:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    if sources != folder:
        for name in NPM_FILES:
            shutil.copy(sources / name, folder / name)
    sys.stderr.write(f"installing packages of npm for {sources.relative_to(ROOT)}\n")
    done = run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"], folder)
    if done.succeeded:
        stamp.write_bytes(wanted)
        return None
    lines = done.output.strip().splitlines()
    return f"npm could not install its packages: {lines[0] if lines else 'no output'}"


def prepare(folder: Path) -> None:
    """Put the documents, our own files and the packages of npm into a folder, where generators run."""
    for path in (OPENAPI, ASYNCAPI, *(SOURCES / name for name in FILES)):
        shutil.copy(path, folder / path.name)
    (folder / "node_modules").symlink_to(NODE / "node_modules")
