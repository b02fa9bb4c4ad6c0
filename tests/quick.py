"""`make quick`: lint, types and tests of the files that differ from main, committed or not.

ruff and mypy look at the files that differ. pytest runs the tests of the packages that differ most, by the table below,
and the test files that differ themselves. The other tests, and test files that
start the whole stack, are only listed.
"""

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
BRANCHES = ("main", "origin/main")

TESTS = {
    "packages/aws-json-client/": ["tests/unit/aws_json_client"],
    "packages/order-pages/": ["tests/unit/pages"],
    "shared/": ["tests/unit/shared"],
    "services/order-api/": ["tests/unit/api"],
    "services/order-processor/": ["tests/unit/processor", "tests/simulation/test_campaign.py"],
    "services/order-notifier/": ["tests/unit/notifier"],
    "operations/": ["tests/unit/operations"],
    "clients/python/": ["tests/unit/client"],
    "cli/": ["tests/unit/cli"],
    "devtools/devstack/": ["tests/unit/devstack"],
    "devtools/fake-ecs/": ["tests/unit/fake_ecs"],
    "devtools/setup/": ["tests/suite/test_setup.py"],
    "infra/": ["tests/infra/test_environments.py", "tests/infra/test_costs.py", "tests/infra/test_cost_documents.py"],
    "env/": ["tests/infra/test_profiles.py"],
    "compose.yaml": ["tests/infra/test_compose.py"],
    "observability/": ["tests/observability/test_dashboards.py"],
    ".github/": ["tests/infra/test_workflows.py", "tests/suite/test_contributing.py"],
    "docs/": ["tests/suite/test_pages.py", "tests/suite/test_contributing.py", "tests/infra/test_cost_documents.py"],
    "pyproject.toml": ["tests/suite/test_contributing.py", "tests/suite/test_versions.py"],
}
"""Tests by the beginning of a path. Tests of infra's stacks take minutes: `make test ONLY=tests/infra`."""

MOST = 3
"""Number of rows of the table whose tests are run, rows with the most files first: these take about a minute."""

WHOLE_STACK = ("tests/bench/", "tests/browser/", "tests/chaos/", "tests/e2e/", "tests/fuzz/")
OF_INFRA = (
    "infra/constructs/",
    "infra/services/",
    "infra/supporting/",
    "tests/infra/variants.py",
    "tests/infra/planning/states.py",
)
"""Files that mypy checks in infra's environment."""


def select(changed: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the tests to run for the changed paths, and the tests left to `make test`."""
    counted = Counter(start for path in changed for start in TESTS if path.startswith(start))
    starts = [start for start, _ in counted.most_common()]
    wanted, left = ([test for start in part for test in TESTS[start]] for part in (starts[:MOST], starts[MOST:]))
    folders = tuple(f"{test}/" for test in wanted)
    for path in changed:
        if path.startswith("tests/") and Path(path).name.startswith("test_") and not path.startswith(folders):
            (left if path.startswith(WHOLE_STACK) else wanted).append(path)
    return [*dict.fromkeys(wanted)], [test for test in dict.fromkeys(left) if test not in wanted]


def main() -> None:
    base, changed = _changes()
    there = [path for path in changed if (ROOT / path).exists()]
    tests, left = select([path for path in changed if path in there or not path.startswith("tests/")])
    python = [path for path in there if path.endswith(".py")]
    of_infra = [path for path in python if path.startswith(OF_INFRA)]
    typed = [path for path in python if path not in of_infra]
    _say(f"{len(changed)} files differ from {base}")
    if python:
        _run(BIN / "ruff", "check", *python)
        _run(BIN / "ruff", "format", "--check", *python)
    if typed:
        _run(BIN / "mypy", *typed)
    if of_infra:
        _run(ROOT / "infra/.venv/bin/mypy", "--config-file", "infra/pyproject.toml")
    if tests:
        _run(BIN / "pytest", "-q", "-n", "2" if len(tests) > 1 else "0", "--dist", "loadfile", *tests)
    if left:
        _say(f"left to make test: {' '.join(left)}")


def _changes() -> tuple[str, list[str]]:
    """Return a name for main, and the paths that differ from the commit at which this branch started."""
    found = [branch for branch in BRANCHES if _git("rev-parse", "--verify", "--quiet", branch)]
    main, base = (found[0], _git("merge-base", "HEAD", found[0])[0]) if found else ("the last commit", "HEAD")
    differ = _git("diff", "--name-only", base)
    return main, sorted({*differ, *_git("ls-files", "--others", "--exclude-standard")})


def _git(*arguments: str) -> list[str]:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()


def _run(program: Path, *arguments: str) -> None:
    """Run a program; end with its exit code if it fails."""
    _say(f"{program.name} {_shortened(arguments)}")
    code = subprocess.run([program, *arguments], cwd=ROOT, check=False).returncode
    if code:
        sys.exit(code)


def _shortened(arguments: Sequence[str], most: int = 8) -> str:
    more = len(arguments) - most
    return " ".join(arguments[:most]) + (f" and {more} more" if more > 0 else "")


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command's output


if __name__ == "__main__":
    main()
