"""Upgrade of the lock files to the newest compatible versions, without a downgrade."""

import tomllib
from collections.abc import Sequence
from pathlib import Path

from devtools.setup.uv import Uv


class LockFailed(Exception):
    """The upgrade of a lock file would install an older version of a package."""


def renew(projects: Sequence[str], root: Path, uv: Uv) -> None:
    """Upgrade each project's lock file. A lock file in which a version would go down stays unchanged.

    Raises:
        LockFailed: for the first such lock file, with the old and the new version of each package. The old version was
            yanked, or another package excludes it.
    """
    for project in projects:
        path = root / project / "uv.lock"
        before = path.read_text(encoding="utf-8")
        uv.run("lock", "--upgrade", "--project", project)
        if older := downgrades(before, path.read_text(encoding="utf-8")):
            path.write_text(before, encoding="utf-8")
            raise LockFailed(
                f"{path.relative_to(root)} is unchanged, because the upgrade would install older versions: "
                f"{'; '.join(older)}. Check whether the newer version was yanked or another package excludes it."
            )


def downgrades(before: str, after: str) -> list[str]:
    """Return the packages whose newest version in the lock `after` is older than in `before`."""
    from packaging.version import Version  # noqa: PLC0415 - the rest of the setup runs before anything is installed

    def newest(lock: str) -> dict[str, Version]:
        found: dict[str, Version] = {}
        for package in tomllib.loads(lock).get("package", ()):
            if "version" in package:
                version = Version(package["version"])
                found[package["name"]] = max(version, found.get(package["name"], version))
        return found

    old, new = newest(before), newest(after)
    return [f"{name} {old[name]} -> {new[name]}" for name in sorted(old.keys() & new.keys()) if new[name] < old[name]]
