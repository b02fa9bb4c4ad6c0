"""The last release, as it was committed: what runs beside this one during a deployment."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

COMMIT = "a3b2e79"
ROOT = Path(__file__).parents[1]


def extract(folder: Path) -> Path:
    """Put the packages of the last release into a folder; skips the test where the history does not reach so far."""
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
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(sources)},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
