"""Checkov over every stack: what fails is what infra/checkov.yaml leaves out, with a reason for each."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.infra.synthesis import ROOT, folder_of, stacks

CHECKOV = ROOT / "infra" / ".venv" / "bin" / "checkov"
CONFIGURATION = ROOT / "infra" / "checkov.yaml"
SKIP = re.compile(r"  - (CKV2?_AWS_\d+)")
REASON = re.compile(r"  # .*\w{3,}.*\.")
SECONDS = 300


def skips() -> dict[str, bool]:
    """Each check that is left out, and whether a comment right above it says why."""
    lines = CONFIGURATION.read_text().splitlines()
    start = lines.index("skip-check:")
    found = {}
    for above, line in zip(lines[start:], lines[start + 1 :], strict=False):
        skip = SKIP.fullmatch(line)
        assert skip or REASON.fullmatch(line), f"neither a check nor a reason: {line}"
        if skip:
            found[skip[1]] = REASON.fullmatch(above) is not None
    return found


def unskipped() -> str:
    """The configuration, without what it leaves out."""
    return CONFIGURATION.read_text().partition("skip-check:")[0]


def different() -> Iterator[tuple[str, str]]:
    """Each stack that has a resource which none before it has: most choices touch a few. Its name, and its text."""
    seen: set[tuple[str, str]] = set()
    for stack in stacks():
        resources = {(each.address, json.dumps(each.body, sort_keys=True)) for each in stack.resources()}
        if not resources <= seen:
            seen |= resources
            yield f"{stack.variant}-{stack.name}", (folder_of(stack) / "cdk.tf.json").read_text()


def failing(folder: Path) -> dict[str, str]:
    """The checks that fail when none is left out, and the first resource that each fails for."""
    for name, text in different():
        (folder / name).mkdir()
        (folder / name / "cdk.tf.json").write_text(text)
    configuration = folder / "checkov.yaml"
    configuration.write_text(unskipped())
    done = checkov("--config-file", str(configuration), "--directory", str(folder), "--output", "json")
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 0
    found: dict[str, str] = {}
    for check in report["results"]["failed_checks"]:
        found.setdefault(check["check_id"], f"{check['check_name']}: {check['file_path']}, {check['resource']}")
    return found


def checkov(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([CHECKOV, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return failing(tmp_path_factory.mktemp("checkov"))


def test_every_skip_has_its_reason() -> None:
    without = [check for check, reason in skips().items() if not reason]
    assert not without


def test_nothing_fails_that_is_not_left_out(found: dict[str, str]) -> None:
    assert not [f"{check}: {where}" for check, where in found.items() if check not in skips()]


def test_nothing_is_left_out_that_does_not_fail(found: dict[str, str]) -> None:
    assert not skips().keys() - found.keys()


def test_checkov_takes_the_configuration(tmp_path: Path) -> None:
    """As an operator runs it, on the environment that leaves most to choice."""
    (dev,) = [stack for stack in stacks() if (stack.variant, stack.kind) == ("dev", "supporting")]
    (tmp_path / "cdk.tf.json").write_text((folder_of(dev) / "cdk.tf.json").read_text())
    done = checkov("--config-file", str(CONFIGURATION), "--directory", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
