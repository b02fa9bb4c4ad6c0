"""What an event at GitHub sets going: which jobs run, and which targets of the Makefile they call, in their order."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from order_shared.naming import shipping_order
from tests.infra.workflows import Workflow, evaluated, filled, workflow

Values = Mapping[str, str]
"""What GitHub's expressions name; what is not there is empty."""

OURS = {"vars.ORDER_ACCOUNT_ID": "111122223333", "github.repository": "example/order-platform"}
FEATURE = {**OURS, "needs.name.outputs.environment": "feat-login"}

CHECKS = [
    "check/check: check",
    *(f"check/test: {each}" for each in ("dynamodb-local", "prometheus", "browser", "test")),
]
CHECKS += ["check/images: images"]
PUSHES = ["images/push: push"]
SHIPS = [f"images: ship {name}" for name in shipping_order()]


def calls(name: str, event: str, values: Values) -> list[str]:
    """`job: target`, or `job/job: target` through a workflow that is called."""
    assert event in workflow(name).triggers
    return [f"{path}: {target}" for path, target in _calls(workflow(name), {**values, "github.event_name": event})]


def test_main_goes_through_each_environment_once_it_is_checked_and_pushed() -> None:
    steps = ("require-approval", "apply-supporting", "apply-services", "wait-deployments")
    terraform = [f"infrastructure: {each}" for each in steps]
    dev, uat, prod = ([f"{name}/{call}" for call in (*terraform, *SHIPS)] for name in ("dev", "uat", "prod"))
    approvals = [[f"approve-{name}: require-approval"] for name in ("uat", "prod")]
    assert calls("deploy.yml", "push", OURS) == [
        *CHECKS,
        "registry: apply-registry",
        *PUSHES,
        *dev,
        *approvals[0],
        *uat,
        *approvals[1],
        *prod,
    ]
    assert workflow("environment.yml").job("images").needs == ["infrastructure"]


def test_a_feature_gets_an_environment_and_keeps_it() -> None:
    steps = ("require-approval", "apply-supporting", "init", "apply-services", "wait-deployments")
    terraform = [f"infrastructure: {each}" for each in steps]
    deployed = [f"deploy/{call}" for call in (*terraform, *SHIPS)]
    assert calls("feature.yml", "push", FEATURE) == ["name: branch-environment", *PUSHES, *deployed]


def test_a_deleted_branch_makes_no_environment() -> None:
    """GitHub may report a deletion as a push, too."""
    assert calls("feature.yml", "push", {**FEATURE, "github.event.deleted": "true"}) == []


def test_its_environment_goes_with_its_branch() -> None:
    deleted = {**FEATURE, "github.event.ref": "feat/login", "github.event.ref_type": "branch"}
    assert calls("feature.yml", "delete", deleted) == ["name: branch-environment", "destroy: destroy"]


@pytest.mark.parametrize(("kind", "ref"), [("branch", "fix/login"), ("tag", "feat/login")])
def test_with_anything_else_nothing_goes(kind: str, ref: str) -> None:
    deleted = {**FEATURE, "github.event.ref": ref, "github.event.ref_type": kind}
    assert calls("feature.yml", "delete", deleted) == []


def test_what_is_deployed_or_destroyed_is_the_branchs() -> None:
    for event, branch in (("push", "github.ref_name"), ("delete", "github.event.ref")):
        (step,) = (step for step in workflow("feature.yml").job("name").steps if "run" in step)
        values = {"github.event_name": event, "github.ref_name": "main", branch: "feat/login"}
        assert evaluated(step["env"]["BRANCH"], values) == "feat/login"
    destroy = workflow("feature.yml").job("destroy").body
    assert destroy["env"]["ENV"] == "${{ needs.name.outputs.environment }}"


def test_branches_that_have_an_environment() -> None:
    patterns = workflow("feature.yml").triggers["push"]["branches"]
    names = "|".join(re.escape(each).replace(r"\*\*", ".*").replace(r"\*", "[^/]*") for each in patterns)
    having = ["feat-login", "feat/login", "feature/a/b"]
    assert [branch for branch in (*having, "main", "fix/feat") if re.fullmatch(names, branch)] == having


@pytest.mark.parametrize(("head", "planned"), [(OURS["github.repository"], ["plan: plan-summary"]), ("fork/it", [])])
def test_a_pull_request_is_checked_and_if_it_is_ours_planned(head: str, planned: list[str]) -> None:
    values = {**OURS, "github.event.pull_request.head.repo.full_name": head}
    assert calls("check.yml", "pull_request", values) == [call.removeprefix("check/") for call in CHECKS]
    assert calls("infrastructure.yml", "pull_request", {**values, "steps.sign-in.outcome": "success"}) == planned
    skipped = [call.replace("plan-summary", "plan-skipped") for call in planned]
    assert calls("infrastructure.yml", "pull_request", {**values, "steps.sign-in.outcome": "failure"}) == skipped


def test_the_nightly_removal_knows_every_branch() -> None:
    """One that was not fetched would lose its environment."""
    found = {**OURS, "needs.list.outputs.environments": '["feat-login-1234abcd"]'}
    assert calls("gc.yml", "schedule", found) == ["list: gc-list", "destroy: gc-branches"]
    nothing = {**OURS, "needs.list.outputs.environments": "[]"}
    assert calls("gc.yml", "schedule", nothing) == ["list: gc-list"]
    for job in workflow("gc.yml").jobs:
        (checkout,) = (step for step in job.steps if "checkout" in step.get("uses", ""))
        assert checkout["with"]["fetch-depth"] == 0


UNLOCK = ["unlock: require-approval", "unlock: unlock"]


@pytest.mark.parametrize(
    ("environment", "confirmation", "called"),
    [
        ("dev", "dev", UNLOCK),
        ("feat-login", "feat-login", UNLOCK),
        ("prod", "prod", ["approve: require-approval", *UNLOCK]),
        ("prod", "yes", []),
        ("dev", "", []),
    ],
)
def test_a_lock_is_released_for_who_names_its_environment_twice(
    environment: str, confirmation: str, called: list[str]
) -> None:
    values = {**OURS, "inputs.environment": environment, "inputs.confirmation": confirmation}
    assert calls("unlock.yml", "workflow_dispatch", values) == called


def test_until_the_repository_knows_its_account_everything_is_only_checked() -> None:
    assert calls("deploy.yml", "push", {}) == CHECKS
    assert calls("feature.yml", "push", {}) == []
    assert calls("infrastructure.yml", "pull_request", {}) == []
    assert calls("gc.yml", "schedule", {}) == []


def _calls(each: Workflow, values: Values) -> Iterator[tuple[str, str]]:
    """Path of the job and target; a matrix counts once."""
    ran: set[str] = set()
    for job in each.jobs:
        waits = not ran.issuperset(job.needs) and "!failure()" not in job.body.get("if", "")
        if waits or not _holds(job.body, values):
            continue
        ran.add(job.name)
        if job.called is not None:
            given = {f"inputs.{name}": filled(value, values) for name, value in job.body.get("with", {}).items()}
            yield from ((f"{job.name}/{path}", target) for path, target in _calls(job.called, {**values, **given}))
        for step in job.steps:
            if "run" in step and _holds(step, values):
                service = step.get("env", {}).get("SERVICES", "")
                words = [step["run"].split()[1], "" if "matrix" in service else service]
                yield job.name, " ".join(filter(None, words))


def _holds(body: Mapping[str, Any], values: Values) -> bool:
    """Of a job or a step."""
    return "if" not in body or bool(evaluated(body["if"], values))
