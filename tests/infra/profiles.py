"""The environments' settings as files, `env/*.env`: what a shell, compose and orderctl read."""

from pathlib import Path

from dotenv import dotenv_values

from tests.infra.synthesis import ROOT

FOLDER = ROOT / "env"
LOCAL = "local"


def profiles() -> dict[str, Path]:
    """Every profile by its name; files of secrets, which git ignores, are none."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.env")) if "." not in path.stem}


def settings_of(profile: str) -> dict[str, str]:
    """As compose reads them."""
    found = dotenv_values(FOLDER / f"{profile}.env", interpolate=False)
    return {name: value or "" for name, value in found.items()}
