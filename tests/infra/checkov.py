"""Checkov over every stack: what fails is what infra/checkov.yaml leaves out, with a reason for each.

`python -m tests.infra.checkov`, a part of `make check`.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

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
        if not (skip or REASON.fullmatch(line)):
            raise ValueError(f"{CONFIGURATION.name}: neither a check nor a reason: {line}")
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
    summary = report["summary"]
    if summary["parsing_errors"] or not summary["passed"]:
        raise RuntimeError(f"checkov did not read every stack: {summary}")
    found: dict[str, str] = {}
    for check in report["results"]["failed_checks"]:
        found.setdefault(check["check_id"], f"{check['check_name']}: {check['file_path']}, {check['resource']}")
    return found


def checkov(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([CHECKOV, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)


def findings(failed: Mapping[str, str], skipped: Mapping[str, bool]) -> list[str]:
    """Return what is wrong: checks that fail, and entries of the configuration without a reason or a use."""
    return [
        *(f"{check} fails: {where}" for check, where in failed.items() if check not in skipped),
        *(f"{check} is left out, and does not fail" for check in skipped if check not in failed),
        *(f"{check} is left out without a reason" for check, has_reason in skipped.items() if not has_reason),
    ]


def refused_configuration(folder: Path) -> str:
    """Return what checkov says against the configuration as operators use it, on dev; nothing if it passes."""
    (dev,) = [stack for stack in stacks() if (stack.variant, stack.kind) == ("dev", "supporting")]
    (folder / "cdk.tf.json").write_text((folder_of(dev) / "cdk.tf.json").read_text())
    done = checkov("--config-file", str(CONFIGURATION), "--directory", str(folder))
    return done.stdout + done.stderr if done.returncode else ""


def main() -> int:
    """Print what is wrong; the exit code is 1 if anything is."""
    with TemporaryDirectory() as every_stack, TemporaryDirectory() as dev:
        wrong = findings(failing(Path(every_stack)), skips())
        if refused := refused_configuration(Path(dev)):
            wrong.append(f"checkov refuses dev with {CONFIGURATION.name}:\n{refused}")
    sys.stdout.write("".join(f"checkov: {each}\n" for each in wrong) or "checkov: no findings\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
