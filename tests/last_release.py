"""The last release, as it was committed: it runs together with this one during a deployment."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

COMMIT = "a3b2e79"
ROOT = Path(__file__).parents[1]
PYTHON = ROOT / ".local" / "reference" / "bin" / "python"
"""Environment with aioboto3, which the last release imports and this one does not."""

SOURCES = ("shared/src", "services/order-api/src", "services/order-processor/src")
CLIENT = "client/src"


def extract(folder: Path) -> str:
    """Put the packages of the last release into a folder, and return their PYTHONPATH.

    Skips the test where the history does not reach so far.
    """
    if not PYTHON.exists():
        pytest.skip("the last release needs the environment with aioboto3: `make setup-reference` makes it")
    archive = subprocess.run(
        ["git", "archive", COMMIT, *SOURCES, CLIENT], cwd=ROOT, capture_output=True, check=False, timeout=60
    )
    if archive.returncode:
        pytest.skip(f"the last release {COMMIT} is not in this checkout's history: {archive.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as packed:
        packed.extractall(folder, filter="data")
    return pythonpath(folder)


def pythonpath(folder: Path) -> str:
    """Return the PYTHONPATH of the packages of a checkout."""
    return os.pathsep.join(str(folder / each) for each in SOURCES)


def run(path: str, script: str, stdin: str) -> str:
    """Run a script over the last release; return its output."""
    done = subprocess.run(
        [str(PYTHON), "-c", script],
        env={**os.environ, "PYTHONPATH": path},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
