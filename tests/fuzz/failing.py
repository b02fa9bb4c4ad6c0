"""Failing requests, each kept as a curl command that reads $API and $TOKEN."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parents[2] / ".local" / "fuzz"
COMMAND = re.compile(r"^    (curl .+?)$\n(?=\n)", re.MULTILINE | re.DOTALL)


def commands_in(report: str, api: str, token: str) -> Iterator[str]:
    """Return the curl commands of schemathesis' report, without address and token."""
    report = report.replace(f"Authorization: Bearer {token}", "Authorization: Bearer '\"$TOKEN\"'")
    report = report.replace(f"'{api}", '"$API"\'').replace(api, '"$API"')
    yield from COMMAND.findall(report)


def keep(seed: int, commands: Iterator[str], folder: Path = FOLDER) -> list[Path]:
    """Write each command into a file of its own. Return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number, command in enumerate(commands, start=1):
        path = folder / f"seed-{seed}-{number}.sh"
        path.write_text(f"{command}\n", encoding="utf-8")
        files.append(path)
    return files


def replay(path: Path, api: str, token: str) -> str:
    """Send the request of a file again. Return the response, with its status in the first line."""
    command = path.read_text(encoding="utf-8").replace("curl ", "curl -s -i ", 1)
    done = subprocess.run(
        ["bash", "-c", command],
        env={**os.environ, "API": api, "TOKEN": token},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout or f"no response: {done.stderr.strip()}"
