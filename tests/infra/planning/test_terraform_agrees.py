"""Terraform itself plans and applies three of the changes on stand-ins: the planner says the same."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.infra.planning.earlier import RULE, by_cloud_control, changed, without_lifecycle
from tests.infra.planning.faults import faults
from tests.infra.planning.order import waits
from tests.infra.planning.plan import Action, Plan, plan
from tests.infra.planning.stand_ins import address_of, stand_ins
from tests.infra.planning.test_planned_changes import API, SUPPORTING, between, reworded
from tests.infra.synthesis import Json, Stack, stack_in

SECONDS = 60
PLANNED = {
    ("create",): Action.CREATE,
    ("update",): Action.UPDATE,
    ("delete",): Action.DELETE,
    ("create", "delete"): Action.REPLACE,
    ("delete", "create"): Action.REPLACE,
}
DONE = re.compile(
    r"^terraform_data\.([\w-]+)(?: \(deposed object \w+\))?: (Creation|Modifications|Destruction) complete"
)

pytestmark = pytest.mark.skipif(shutil.which("terraform") is None, reason="no terraform on the path")


ACL, ASSOCIATION = "aws_cloudcontrolapi_resource.web_acl", "aws_wafv2_web_acl_association.web_acl_association"
PROVIDER = "aws_ecs_capacity_provider", "instances_capacity_provider"


def another_text(services: Stack) -> Plan:
    return plan(services, reworded(services))


NOW: dict[str, Callable[[], Plan]] = {
    "another text": lambda: another_text(stack_in("services", API)),
    "a service that rolls from now on": lambda: between("services", "services-that-roll", API),
    "instances that go": lambda: between("leaving-instances", "base", SUPPORTING),
}

EARLIER: dict[str, tuple[Callable[[], Plan], str, str]] = {
    "another text": (
        lambda: another_text(changed(stack_in("services", API), without_lifecycle(RULE, "egress"))),
        f"remove {RULE}.egress",
        "make aws_ecs_service.service",
    ),
    "a rule of the firewall more": (
        lambda: plan(*(changed(stack_in(each, SUPPORTING), by_cloud_control) for each in ("base", "one-rule-more"))),
        f"remove {ASSOCIATION}",
        f"make {ACL}",
    ),
    "instances that go": (
        lambda: plan(
            changed(stack_in("leaving-instances", SUPPORTING), without_lifecycle(*PROVIDER)),
            stack_in("base", SUPPORTING),
        ),
        f"remove {'.'.join(PROVIDER)}",
        "make aws_ecs_cluster_capacity_providers.cluster_capacity_providers",
    ),
}
"""Stacks as they were: the plan of a change, what went too early, and what should have come before it."""


class Terraform:
    """A folder with a configuration and its state."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._run("init", "-input=false", configuration={})

    def apply(self, stack: Stack) -> list[str]:
        """Return the steps in the order in which they ended, named as the planner names them."""
        said = self._run("apply", "-input=false", "-auto-approve", "-no-color", configuration=stand_ins(stack))
        return list(_steps(said))

    def plan(self, stack: Stack) -> dict[str, Action]:
        self._run("plan", "-input=false", "-out=planned", configuration=stand_ins(stack))
        shown: Json = json.loads(self._run("show", "-json", "planned"))
        return {
            address_of(change["name"]): PLANNED[tuple(change["change"]["actions"])]
            for change in shown["resource_changes"]
            if change["change"]["actions"] != ["no-op"]
        }

    def _run(self, *words: str, configuration: Json | None = None) -> str:
        if configuration is not None:
            (self._folder / "main.tf.json").write_text(json.dumps(configuration))
        return subprocess.run(
            ["terraform", f"-chdir={self._folder}", *words],
            env={**os.environ, "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        ).stdout


def _steps(said: str) -> Iterator[str]:
    for line in said.splitlines():
        if found := DONE.match(line):
            verb = "remove" if found[2] == "Destruction" else "make"
            yield f"{verb} {address_of(found[1])}"


def steps_of(expected: Plan, folder: Path) -> list[str]:
    """Apply a change on stand-ins, and check Terraform's plan and order against the planner's."""
    terraform = Terraform(folder)
    terraform.apply(expected.before)
    assert terraform.plan(expected.after) == expected.actions
    steps, waiting = terraform.apply(expected.after), waits(expected)
    assert set(steps) == waiting.keys()
    for number, step in enumerate(steps):
        assert waiting[step] <= set(steps[:number]), step
    return steps


@pytest.mark.parametrize("change", NOW)
def test_terraform_does_what_the_planner_says(change: str, tmp_path: Path) -> None:
    assert steps_of(NOW[change](), tmp_path)


@pytest.mark.parametrize("change", EARLIER)
def test_terraform_did_what_the_planner_calls_a_fault(change: str, tmp_path: Path) -> None:
    make, early, late = EARLIER[change]
    expected = make()
    assert faults(expected)
    steps = steps_of(expected, tmp_path)
    assert steps.index(early) < steps.index(late)
