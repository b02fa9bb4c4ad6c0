"""Licence and metadata of each package, GitHub's files, and the decision records."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from devtools.setup.environments import PROJECTS
from infra.environments import ORGANISATION
from tests import decisions

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
HOME = f"https://github.com/{ORGANISATION.repository}"
"""The repository's page."""

FILES_WITH_SCHEMAS = {
    "dependabot.yml": "vendor.dependabot",
    "ISSUE_TEMPLATE/config.yml": "vendor.github-issue-config",
    "ISSUE_TEMPLATE/bug.yml": "vendor.github-issue-forms",
    "ISSUE_TEMPLATE/feature.yml": "vendor.github-issue-forms",
}


def tracked(pattern: str) -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", pattern]
    return [ROOT / name for name in subprocess.check_output(command, cwd=ROOT, text=True).splitlines()]


PUBLISHED = [path for path in tracked("*pyproject.toml") if "build-system" in tomllib.loads(path.read_text())]


def renewed(ecosystem: str) -> set[str]:
    """Return the folders in which Dependabot renews what an ecosystem pins."""
    updates = yaml.safe_load((GITHUB / "dependabot.yml").read_text())["updates"]
    return {
        folder.strip("/") or "."
        for entry in updates
        if entry["package-ecosystem"] == ecosystem
        for folder in entry.get("directories", [entry.get("directory")])
    }


@pytest.mark.parametrize("pyproject", PUBLISHED, ids=lambda path: path.parent.name)
def test_a_package_says_its_licence_its_readme_and_where_it_is_from(pyproject: Path) -> None:
    project = tomllib.loads(pyproject.read_text())["project"]
    assert (project["license"], project["license-files"]) == ("Apache-2.0", ["LICENSE", "NOTICE"])
    for name in project["license-files"]:
        assert (pyproject.parent / name).resolve() == ROOT / name
    assert (pyproject.parent / project["readme"]).read_text().startswith(f"# {project['name']}\n")
    assert {url.partition(HOME)[0] for url in project["urls"].values()} == {""}
    assert project["urls"]["Repository"] == HOME


@pytest.mark.parametrize("name", FILES_WITH_SCHEMAS)
def test_files_of_github_fit_their_schemas(name: str) -> None:
    schema = ("--builtin-schema", FILES_WITH_SCHEMAS[name])
    command = [sys.executable, "-m", "check_jsonschema", *schema, str(GITHUB / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_dependabot_renews_every_lock_and_every_base_image() -> None:
    assert renewed("uv") == {*PROJECTS}
    bases = renewed("docker")
    for dockerfile in tracked("*Dockerfile"):
        assert any(dockerfile.parent.match(folder) for folder in bases), dockerfile


def test_the_version_file_names_the_pythons_that_ci_tests() -> None:
    job = yaml.safe_load((GITHUB / "workflows" / "check.yml").read_text())["jobs"]["test"]
    assert (ROOT / ".python-version").read_text().split() == job["strategy"]["matrix"]["python"]


def test_the_index_of_decisions_is_up_to_date() -> None:
    assert decisions.INDEX.read_text(encoding="utf-8") == decisions.index(), "run `make docs`"


@pytest.mark.parametrize("record", decisions.records(), ids=lambda path: path.stem[:4])
def test_a_decision_has_the_format(record: Path) -> None:
    assert [*decisions.faults(record, record.read_text(encoding="utf-8"))] == []


RECORD = """# 1. Store each order once

**Status.** Accepted. **Date.** 2026-12-01.

**Context.** Retries.

**Decision.** One item.

**Consequences.** None.
"""


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("# 1.", "# 2.", "begins with its number"),
        ("Store each order once", "Orders are stored once", "imperative"),
        ("Accepted", "Done", "is Accepted"),
        ("Accepted.", "Superseded by [9](0009-none.md).", "does not exist"),
        ("Accepted.", "Accepted. Supersedes [14](0014-make-the-web-acl-through-cloud-control.md).", "is named in"),
        ("2026-12-01", "today", "has a date"),
        ("**Decision.**", "**Choice.**", "has the parts"),
        ("**Context.** Retries.\n\n", "", "has the parts"),
        ("Retries.", "Retries. " * 20, "at most 140"),
    ],
)
def test_a_deviation_from_the_format_is_found(old: str, new: str, fault: str) -> None:
    record = decisions.FOLDER / "0001-store-each-order-once.md"
    assert [*decisions.faults(record, RECORD)] == []
    (found,) = decisions.faults(record, RECORD.replace(old, new))
    assert fault in found


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [int(path.name[:4]) for path in decisions.records()] == [*range(1, len(decisions.records()) + 1)]
