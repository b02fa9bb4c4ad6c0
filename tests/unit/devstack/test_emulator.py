"""The search for the embedded AWS, and the message if it is not installed."""

import tomllib
from pathlib import Path

import pytest

from devstack import emulator
from tests.suite.checkout import ROOT


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the parent of an empty checkout environment and an empty folder on the PATH."""
    for name in ("checkout", "path"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(emulator, "IN_CHECKOUT", tmp_path / "checkout")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    return tmp_path


def put(folder: Path) -> str:
    program = folder / "ministack"
    program.touch(0o755)
    return str(program)


def test_it_is_found_on_the_path_and_a_checkouts_own_comes_first(installed: Path) -> None:
    on_path = put(installed / "path")
    assert emulator.find_emulator() == on_path
    in_checkout = put(installed / "checkout")
    assert emulator.find_emulator() == in_checkout


@pytest.mark.usefixtures("installed")
def test_without_it_the_version_that_is_tested_is_named() -> None:
    project = ROOT / "devtools" / "devstack" / "emulator" / "pyproject.toml"
    (pinned,) = tomllib.loads(project.read_text())["project"]["dependencies"]
    with pytest.raises(emulator.EmulatorMissing, match=f"pipx install {pinned}"):
        emulator.find_emulator()


def test_make_setup_installs_it_where_a_checkout_finds_it() -> None:
    assert ROOT / "devtools" / "devstack" / "emulator" / ".venv" / "bin" == emulator.IN_CHECKOUT
