"""One version, that of the root: packages, programs, documents, images and the change log have it."""

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from devtools.setup.environments import packages

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
BIN = Path(sys.executable).parent
PROGRAMS: dict[str, list[str | Path]] = {
    "order-api": [BIN / "order-api"],
    "order-processor": [BIN / "order-processor"],
    "orderctl": [BIN / "orderctl"],
    "fake-ecs": [sys.executable, "-m", "fake_ecs"],
}


def test_packages_are_of_the_roots_version() -> None:
    assert {name: version(name) for name in packages(ROOT)} == dict.fromkeys(packages(ROOT), VERSION)


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_answer_without_any_setting(name: str) -> None:
    command: list[str | Path] = [*PROGRAMS[name], "--version"]
    done = subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True, check=True)
    assert done.stdout == f"{name} {VERSION}\n"


def test_the_typescript_client_has_it_too() -> None:
    assert json.loads((ROOT / "clients" / "typescript" / "package.json").read_text())["version"] == VERSION


@pytest.mark.parametrize("document", ["openapi", "asyncapi"])
def test_documents_name_it(document: str) -> None:
    assert json.loads((ROOT / "docs" / f"{document}.json").read_text())["info"]["version"] == VERSION


def test_images_are_labelled_with_it() -> None:
    made = subprocess.run(["make", "-n", "images"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"--build-arg VERSION=(\S*)", made)) == {VERSION}
    for dockerfile in ROOT.glob("services/*/Dockerfile"):
        assert 'image.version="${VERSION}"' in dockerfile.read_text()


def test_the_change_log_has_it_as_the_newest_release() -> None:
    headings = re.findall(r"^## \[(.+?)\](?: - \d{4}-\d\d-\d\d)?$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[:2] == ["Unreleased", VERSION]
