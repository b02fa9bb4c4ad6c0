"""Shell commands out of a document, run as a reader would run them."""

import os
import subprocess
from pathlib import Path

PATIENCE_SECONDS = 120


def run_commands(commands: str, directory: Path) -> str:
    """What they print, all of them having ended well."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=directory,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
