"""The last release, as it was committed: what runs beside this one during a deployment."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

COMMIT = "a3b2e79"
ROOT = Path(__file__).parents[1]
PYTHON = ROOT / ".local" / "reference" / "bin" / "python"
"""An environment with aioboto3, which the last release imports and this one does not."""


def extract(folder: Path) -> Path:
    """Put the packages of the last release into a folder; skip the test where the history does not reach so far."""
    if not PYTHON.exists():
        pytest.skip("the last release needs the environment with aioboto3: `make setup-reference` makes it")
    archive = subprocess.run(
        ["git", "archive", COMMIT, "shared/src"], cwd=ROOT, capture_output=True, check=False, timeout=60
    )
    if archive.returncode:
        pytest.skip(f"the last release {COMMIT} is not in this checkout's history: {archive.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as packed:
        packed.extractall(folder, filter="data")
    return folder / "shared" / "src"


def run(sources: Path, script: str, stdin: str) -> str:
    """Run a script over the last release; return what it prints."""
    done = subprocess.run(
        [str(PYTHON), "-c", script],
        env={**os.environ, "PYTHONPATH": str(sources)},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
