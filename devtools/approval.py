"""Check in a GitHub workflow that a reviewer approved this run for an environment.

    python -m devtools.approval ENVIRONMENT

GitHub creates an environment that a job names and that does not exist: it has no reviewers, and the job runs at once.
Required reviewers also need a public repository or GitHub Enterprise. So each job that changes uat or prod asks its API
before it signs in. Standard library only; `gh` reads its token from GH_TOKEN.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from infra.github import approval_of

REQUIRED = "required_reviewers"


def faults_of(environment: Mapping[str, Any], approvals: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return why a run must not deploy, given GitHub's environment and the reviews of the run; empty if it may."""
    name = environment["name"]
    rules = [rule for rule in environment.get("protection_rules", ()) if rule.get("type") == REQUIRED]
    faults = []
    if not any(rule.get("reviewers") for rule in rules):
        faults.append(f"the environment {name} has no required reviewers")
    if not all(rule.get("prevent_self_review") for rule in rules):
        faults.append(f"the environment {name} lets people approve their own runs")
    if environment.get("can_admins_bypass", True):
        faults.append(f"the environment {name} lets administrators bypass its rules")
    if not any(_approves(approval, name) for approval in approvals):
        faults.append(f"no reviewer approved this run in the environment {name}")
    return faults


def _approves(approval: Mapping[str, Any], name: str) -> bool:
    return approval.get("state") == "approved" and any(
        each.get("name") == name for each in approval.get("environments", ())
    )


def _ask(path: str) -> Any:
    """Return the answer of GitHub's API. Raises CalledProcessError if `gh` fails, whose reason is on stderr."""
    answer = subprocess.run(["gh", "api", path], stdout=subprocess.PIPE, check=True)  # noqa: S607 - found by PATH
    return json.loads(answer.stdout)


def main(name: str, environ: Mapping[str, str]) -> str | None:
    """Return the message of a failure, or None if the run may deploy."""
    needed = approval_of(name)
    if needed is None:
        print(f"{name} needs no approval")  # noqa: T201 - output of the command
        return None
    repository = f"repos/{environ['GITHUB_REPOSITORY']}"
    try:
        environment = _ask(f"{repository}/environments/{needed.name}")
        approvals = _ask(f"{repository}/actions/runs/{environ['GITHUB_RUN_ID']}/approvals")
    except (subprocess.CalledProcessError, ValueError) as error:
        return f"GitHub does not say whether {name} may be deployed: {error}"
    if faults := faults_of(environment, approvals):
        lines = "".join(f"  {fault}\n" for fault in faults)
        return f"{name} is not deployed:\n{lines}See docs/ci.md, Setting up"
    print(f"{name}: this run is approved")  # noqa: T201 - output of the command
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], os.environ))
