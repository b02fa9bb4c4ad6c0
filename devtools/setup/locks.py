"""Renewal of the locks: the newest versions that fit together, and none older than before."""

import tomllib
from collections.abc import Sequence
from pathlib import Path

from devtools.setup.uv import Uv


class LockFailed(Exception):
    """A renewed lock that has an older version than before."""


def renew(projects: Sequence[str], root: Path, uv: Uv) -> None:
    """Resolve the newest versions of each project again. A lock that got an older version stays as it was.

    Raises:
        LockFailed: names each package with both versions. The newer one was yanked, or another package excludes it.
    """
    for project in projects:
        path = root / project / "uv.lock"
        before = path.read_text(encoding="utf-8")
        uv.run("lock", "--upgrade", "--project", project)
        if older := downgrades(before, path.read_text(encoding="utf-8")):
            path.write_text(before, encoding="utf-8")
            raise LockFailed(
                f"{path.relative_to(root)} is unchanged, since its renewal would go back to older versions: "
                f"{'; '.join(older)}. Find out whether the newer version was yanked or is excluded by another package."
            )


def downgrades(before: str, after: str) -> list[str]:
    """Return each package whose newest version in a lock is older than it was in another."""
    from packaging.version import Version  # noqa: PLC0415 - the rest of the set-up runs before anything is installed

    def newest(lock: str) -> dict[str, Version]:
        found: dict[str, Version] = {}
        for package in tomllib.loads(lock).get("package", ()):
            if "version" in package:
                version = Version(package["version"])
                found[package["name"]] = max(version, found.get(package["name"], version))
        return found

    old, new = newest(before), newest(after)
    return [f"{name} {old[name]} -> {new[name]}" for name in sorted(old.keys() & new.keys()) if new[name] < old[name]]
