"""Where figures come from: the commit, the machine, the versions, the day."""

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("aiodynamo", "fastapi", "httptools", "orjson", "pydantic", "starlette", "structlog", "uvicorn", "uvloop")


@dataclass(frozen=True)
class Provenance:
    day: str
    commit: str
    """With a `+` if there was more than it has."""
    processor: str
    cores: int
    system: str
    python: str
    versions: dict[str, str]

    @classmethod
    def of_this_run(cls) -> "Provenance":
        return cls(
            day=datetime.now(UTC).date().isoformat(),
            commit=_git("rev-parse", "--short", "HEAD") + ("+" if _git("status", "--porcelain", "--", "*.py") else ""),
            processor=_processor(),
            cores=os.cpu_count() or 1,
            system=f"{platform.system()} {platform.release().partition('-')[0]}",
            python=platform.python_version(),
            versions={name: version(name) for name in PACKAGES},
        )


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def _processor() -> str:
    """As Linux names it."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
