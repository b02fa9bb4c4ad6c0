"""GitHub's workflows: pinned, with the least rights, as roles that trust them; and each command can be run by hand."""

import json
import re
import tomllib

import pytest

from infra.environments import ENVIRONMENTS
from order_shared.naming import SERVICE_NAMES
from tests.infra.synthesis import ROOT, none, stack_of
from tests.infra.workflows import ACTIONS, LOCAL, WORKFLOWS, Job, jobs, sign_ins, steps, workflow, workflows

MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))
RUN = re.compile(r'make ([a-z-]+)( >> "\$GITHUB_OUTPUT")?')

PINNED = re.compile(r"(?P<action>[\w-]+/[\w-]+)@(?P<digest>[0-9a-f]{40}) # v\d+\.\d+\.\d+")

READ = {"contents": "read"}
SIGNING_IN = {**READ, "id-token": "write"}
APPROVAL = {"actions": "read"}
"""To ask whether a run is approved."""

SAME_REPOSITORY = "github.event.pull_request.head.repo.full_name == github.repository"


def used() -> list[str]:
    """What each `uses:` says, with its comment."""
    lines = [line for path in (*WORKFLOWS, *ACTIONS) for line in path.read_text().splitlines()]
    return [line.partition("uses: ")[2] for line in lines if "uses: " in line]


def of_pull_requests() -> list[Job]:
    return [job for each in workflows() if "pull_request" in each.triggers for job in each.jobs]


def test_actions_are_pinned_by_their_digest_and_ours_are_there() -> None:
    for each in used():
        ours = each.startswith(LOCAL)
        assert (ROOT / each).exists() if ours else PINNED.fullmatch(each), each


def test_an_action_has_one_digest() -> None:
    pinned = {(match["action"], match["digest"]) for each in used() if (match := PINNED.fullmatch(each))}
    assert len({action for action, _ in pinned}) == len(pinned)


def test_what_is_run_is_a_target_of_the_makefile() -> None:
    """By hand it is the same command; and no text of GitHub's becomes a part of it."""
    commands = [(where, step["run"]) for where, step in steps() if "run" in step]
    assert commands
    for where, command in commands:
        match = RUN.fullmatch(command)
        assert match is not None, f"{where}: {command}"
        assert match[1] in TARGETS, f"{where}: {command}"


def test_nothing_is_allowed_that_is_not_named() -> None:
    assert all(each.body["permissions"] == {} for each in workflows())
    none(f"{job}: {job.body.get('permissions')}" for job in jobs() if job.body.get("permissions") != _needed(job))


def _needed(job: Job) -> dict[str, str]:
    return (SIGNING_IN if job.signs_in else READ) | (APPROVAL if job.calls("make require-approval") else {})


def test_no_job_runs_for_hours_unseen() -> None:
    none(f"{job}: no time limit" for job in jobs() if job.steps and not 0 < job.body.get("timeout-minutes", 0) <= 120)


def test_code_of_others_gets_neither_secrets_nor_rights_to_write() -> None:
    assert of_pull_requests()
    for each in workflows():
        assert {"pull_request_target", "workflow_run", "issue_comment"}.isdisjoint(each.triggers), each.path.name
        if "pull_request" in each.triggers:
            assert "secrets" not in each.path.read_text(), each.path.name


def test_a_fork_signs_in_nowhere() -> None:
    signing_in = [job for job in of_pull_requests() if job.signs_in]
    assert signing_in
    none(f"{job}: a fork gets there" for job in signing_in if SAME_REPOSITORY not in job.body["if"])


def test_every_sign_in_is_as_a_role_that_trusts_it() -> None:
    trusted = {
        role["path"] + role["name"].replace(stack.region, "region"): _subjects(role["assume_role_policy"])
        for stack in (stack_of(name, "supporting") for name in ENVIRONMENTS)
        for role in stack.resources("aws_iam_role")
    }
    none(
        f"{each.where}: {each.role} does not trust {each.subject}"
        for each in sign_ins()
        if each.subject not in trusted.get(each.role.removeprefix("arn:aws:iam::account:role"), set())
    )


def _subjects(policy: str) -> set[str]:
    """Of GitHub's tokens, without the repository."""
    return {
        subject.split(":", 2)[2]
        for statement in json.loads(policy)["Statement"]
        for name, subjects in statement.get("Condition", {}).get("StringEquals", {}).items()
        if name.endswith(":sub")
        for subject in ([subjects] if isinstance(subjects, str) else subjects)
    }


def test_each_role_of_ci_is_taken_by_somebody() -> None:
    assert {each.role.rpartition("-")[2] for each in sign_ins()} == {"plan", "push", "apply", "deploy", "destroy"}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_pull_request_reads_and_main_changes(environment: str) -> None:
    roles = {(each.subject, each.role.rpartition("/")[2]) for each in sign_ins()}
    of = f"{environment}-region-ci"
    assert {
        ("pull_request", f"{of}-plan"),
        (f"environment:{environment}-apply", f"{of}-apply"),
        (f"environment:{environment}", f"{of}-deploy"),
    } <= roles


def test_main_goes_from_one_environment_to_the_next() -> None:
    deploy = workflow("deploy.yml")
    assert deploy.triggers == {"push": {"branches": ["main"]}}
    assert [deploy.job(name).needs for name in ("registry", "images", "dev")] == [["check"], ["registry"], ["images"]]
    for before, after in (("dev", "uat"), ("uat", "prod")):
        assert deploy.job(f"approve-{after}").needs == [before]
        assert deploy.job(after).needs == [f"approve-{after}"]
    for name in ENVIRONMENTS:
        assert deploy.job(name).body["with"] == {"environment": name, "roles-of": name}


def test_an_environment_is_deployed_by_one_run_at_a_time_and_to_its_end() -> None:
    """A run that was cancelled midway would leave it between two versions."""
    changing = [
        job
        for job in jobs()
        if job.signs_in and {"push", "schedule", "workflow_dispatch"} & job.workflow.triggers.keys()
    ]
    assert changing
    for job in changing:
        if job.called is workflow("images.yml"):
            continue  # which changes no environment
        groups = [body["concurrency"] for body in (job.body, job.workflow.body) if "concurrency" in body]
        assert groups, f"{job}: two runs may race"
        assert not any(isinstance(group, dict) and group.get("cancel-in-progress") for group in groups), str(job)


def groups(job: Job) -> list[str]:
    return [
        each["group"] if isinstance(each, dict) else each
        for body in (job.body, job.workflow.body)
        if (each := body.get("concurrency"))
    ]


def test_an_environment_has_one_group_whichever_workflow_changes_it() -> None:
    for name in ENVIRONMENTS:
        assert groups(workflow("deploy.yml").job(name)) == [f"environment-{name}"]
    named = "environment-${{ needs.name.outputs.environment }}"
    for job in ("deploy", "destroy"):
        assert groups(workflow("feature.yml").job(job))[0] == named
    night = workflow("gc.yml").job("destroy")
    assert groups(night)[0] == "environment-${{ matrix.environment }}"
    assert night.body["env"]["ENV"] == "${{ matrix.environment }}"


def test_an_approval_holds_no_other_run() -> None:
    for job in jobs():
        environment = str(job.body.get("environment", ""))
        if environment.endswith("-approval") and "deploy" in job.workflow.path.name:
            assert groups(job) == [f"approval-{environment.removesuffix('-approval')}-${{{{ github.run_id }}}}"]
            assert not job.signs_in


def test_the_registry_is_applied_by_one_job_only() -> None:
    (applies,) = [job for job in jobs() if job.calls("make apply-registry")]
    assert groups(applies) == ["registry"]
    for job in jobs():
        for step in job.steps:
            if step.get("run") == "make apply-supporting":
                assert step["env"] == {"SKIP_REGISTRY": 1}


def test_what_changes_an_environment_asks_for_its_approval_before_it_signs_in() -> None:
    job = workflow("environment.yml").job("infrastructure")
    commands = [step.get("run") or step["uses"] for step in job.steps]
    assert commands.index("make require-approval") < commands.index("./.github/actions/sign-in")
    assert workflow("environment.yml").job("images").needs == ["infrastructure"]


def test_what_is_deployed_is_what_was_pushed() -> None:
    pushed = workflow("images.yml").job("push").body["env"]["TAG"]
    assert workflow("environment.yml").body["env"]["TAG"] == pushed == "sha-${{ github.sha }}"


def test_each_image_is_scanned_as_it_was_built_by_a_job_that_signs_in_nowhere() -> None:
    """What looks into images is not ours, and reads a database from the internet."""
    scans = [(job, step) for job in jobs() for step in job.steps if "anchore/scan-action" in step.get("uses", "")]
    assert scans
    for job, step in scans:
        assert job.body["strategy"]["matrix"] == {"service": list(SERVICE_NAMES)}
        assert step["with"]["image"] == "oci-archive:.local/images/${{ matrix.service }}.tar"
        assert not job.signs_in
        (built,) = (each for each in job.steps if each.get("run") == "make images")
        assert job.steps.index(built) < job.steps.index(step)
        assert built["env"]["SERVICES"] == "${{ matrix.service }}"
        assert built["env"]["ATTESTATIONS"] == "--provenance=false"


def test_tests_run_on_every_python_from_the_oldest_to_that_of_the_images() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    oldest = int(re.fullmatch(r">=3\.(\d+)", project["requires-python"])[1])  # type: ignore[index]  # else it fails
    newest = _python_of_the_images()
    matrix = workflow("check.yml").job("test").body["strategy"]["matrix"]
    assert matrix == {"python": [f"3.{minor}" for minor in range(oldest, newest + 1)]}


def test_what_operates_runs_on_the_python_of_the_images() -> None:
    (default,) = re.findall(r'default: "3\.(\d+)"', (ROOT / ".github/actions/set-up/action.yml").read_text())
    assert int(default) == _python_of_the_images()


def _python_of_the_images() -> int:
    """Its minor version; tests/infra/test_dockerfiles.py holds the images equal."""
    (minor,) = re.findall(r"FROM python:3\.(\d+)", (ROOT / "services/order-api/Dockerfile").read_text())
    return int(minor)
