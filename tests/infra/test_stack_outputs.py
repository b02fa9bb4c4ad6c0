"""What stacks read of each other exists, and is deployed before them."""

import re
from collections.abc import Mapping
from graphlib import TopologicalSorter

import pytest

from infra.stacks import stacks_of
from tests.infra.synthesis import FEATURE, HCP, TWO_REGIONS, Stack, none, place_of, stacks, strings

READ = re.compile(r"data\.terraform_remote_state\.(\w+)\.outputs\.(\w+)")

UNREAD: Mapping[tuple[str, str], str] = {
    ("supporting", "operations_table_arn"): "the stack hands it to CI's role itself; services write no audit trail",
}
"""Outputs of stacks that no stack reads, and why they are there."""


def families() -> dict[str, list[Stack]]:
    """The stacks that are deployed together: a variant's own, and for a feature environment its host's."""
    found: dict[str, list[Stack]] = {}
    for stack in stacks():
        found.setdefault(stack.variant, []).append(stack)
    found[FEATURE] += found["dev"]
    found["feature-on-instances"] += found["dev"]
    return found


def by_state(family: list[Stack]) -> dict[str, Stack]:
    return {stack.state_key: stack for stack in family}


def reads(stack: Stack) -> set[tuple[str, str]]:
    """The place of a state, and the output that is read there."""
    states = {label: place(state) for label, state in stack.data("terraform_remote_state").items()}
    return {(states[label], output) for text in strings(stack.body) for label, output in READ.findall(text)}


def place(state: Mapping[str, object]) -> str:
    configuration = state["config"]
    if state["backend"] == "remote":
        return place_of({"cloud": configuration})
    return place_of({"backend": {"s3": configuration}})


def test_every_output_that_is_read_exists() -> None:
    faults = []
    for family in families().values():
        known = by_state(family)
        for stack in family:
            for key, output in reads(stack):
                if key not in known:
                    faults.append(f"{stack}: no stack keeps its state in {key}")
                elif output not in known[key].outputs:
                    faults.append(f"{stack}: {key} has no output {output}")
    none(faults)


def test_every_output_is_read() -> None:
    read, written = set(), set()
    for family in families().values():
        known = by_state(family)
        read |= {(known[key].kind, output) for stack in family for key, output in reads(stack) if key in known}
        written |= {(stack.kind, output) for stack in family for output in stack.outputs}
    assert written - read == UNREAD.keys()


def test_no_state_is_opened_for_nothing() -> None:
    for stack in stacks():
        opened = {place(state) for state in stack.data("terraform_remote_state").values()}
        assert opened == {key for key, _ in reads(stack)}, str(stack)


def test_a_state_is_kept_where_its_stack_is() -> None:
    for stack in stacks():
        if stack.variant == HCP:
            assert (
                stack.state_key
                == f"order-platform-{stack.owner}-{stack.name.removeprefix(stack.kind + '-')}-{stack.kind}"
            )
            continue
        assert stack.state_key == f"{stack.owner}/{stack.region}/{stack.kind}.tfstate", str(stack)
        backend = stack.body["terraform"]["backend"]["s3"]
        assert backend == {"key": stack.state_key, "encrypt": True, "use_lockfile": True}, str(stack)


def test_a_state_is_read_where_it_is_kept() -> None:
    """Each region keeps its own state, in a bucket whose name ends in it."""
    for stack in stacks():
        for state in stack.data("terraform_remote_state").values():
            if state["backend"] == "s3":
                region = state["config"]["key"].split("/")[1]
                assert state["config"]["region"] == region, str(stack)
                assert state["config"]["bucket"] == f"${{var.state_bucket_prefix}}-{region}", str(stack)


def test_two_stacks_never_share_a_state() -> None:
    for variant, family in families().items():
        own = {stack.state_key for stack in family}
        assert len(own) == len(family), variant


def order(family: list[Stack]) -> list[Stack]:
    """In which they can be deployed. Raises CycleError if they cannot."""
    known = by_state(family)
    graph = {stack: {known[key] for key, _ in reads(stack) if key in known} for stack in family}
    return list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("variant", ["dev", "prod", TWO_REGIONS, "failed-over", FEATURE, HCP])
def test_there_is_an_order_to_deploy_in(variant: str) -> None:
    kinds = [stack.kind for stack in order(families()[variant])]
    assert kinds.index("registry") < kinds.index("supporting") < kinds.index("order-api")


def test_replicas_regions_come_before_the_tables() -> None:
    """Their keys encrypt the replicas, which the first region's tables make."""
    names = [stack.name for stack in order(families()[TWO_REGIONS])]
    assert names.index("supporting-eu-west-1") < names.index("supporting-eu-central-1")


def test_operators_commands_deploy_these_stacks_after_what_they_read() -> None:
    own: dict[str, list[Stack]] = {}
    for stack in stacks():
        own.setdefault(stack.variant, []).append(stack)
    for variant, family in own.items():
        deployed = [stack.name for stack in stacks_of(family[0].environment)]
        assert sorted(deployed) == sorted(stack.name for stack in family), variant
        known = by_state(family)
        none(
            f"{stack}: is deployed before {known[key].name}"
            for stack in family
            for key, _ in reads(stack)
            if key in known and deployed.index(stack.name) < deployed.index(known[key].name)
        )


def test_supporting_reads_no_service_and_services_read_no_other() -> None:
    none(
        f"{stack}: reads {key}"
        for stack in stacks()
        for key, _ in reads(stack)
        if any(service in key for service in ("order-api", "order-processor", "order-notifier"))
    )


def test_variables_are_those_that_are_used() -> None:
    for stack in stacks():
        used = {name for text in strings(stack.body) for name in re.findall(r"\$\{var\.(\w+)\}", text)}
        assert stack.body.get("variable", {}).keys() == used, str(stack)
        assert used <= {"state_bucket_prefix"}, str(stack)
