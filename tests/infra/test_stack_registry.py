"""Image repositories: what was tested is what runs, and what runs is never taken away."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from infra.environments import ENVIRONMENTS
from tests.infra.containers import containers
from tests.infra.synthesis import Resource, every, none, of_kind

SERVICES = {"order-api", "order-processor", "order-notifier"}
FEATURES = {f"features/{service}" for service in SERVICES}
MOVABLE = ["live-*", "previous-*"]


@dataclass(frozen=True)
class Image:
    tags: tuple[str, ...]
    days: int
    """Since it was pushed."""


def expired(rules: Sequence[dict[str, Any]], images: Sequence[Image]) -> set[Image]:
    """What ECR takes away. Rules are tried by priority, and an image that one has matched is no later one's.

    Source: Amazon ECR, lifecycle policies: evaluation rules.
    """
    gone: set[Image] = set()
    matched: set[Image] = set()
    for rule in sorted(rules, key=lambda rule: int(rule["rulePriority"])):
        selection = rule["selection"]
        mine = [image for image in images if image not in matched and selects(selection, image)]
        matched |= set(mine)
        if selection["countType"] == "imageCountMoreThan":
            newest_first = sorted(mine, key=lambda image: image.days)
            gone |= set(newest_first[selection["countNumber"] :])
        else:
            assert (selection["countType"], selection["countUnit"]) == ("sinceImagePushed", "days")
            gone |= {image for image in mine if image.days > selection["countNumber"]}
    return gone


def selects(selection: dict[str, Any], image: Image) -> bool:
    if selection["tagStatus"] == "untagged":
        return not image.tags
    assert selection["tagStatus"] == "tagged"
    return all(any(fnmatchcase(tag, pattern) for tag in image.tags) for pattern in selection["tagPatternList"])


def repositories() -> list[Resource]:
    return every("aws_ecr_repository")


def policies() -> list[tuple[Resource, list[dict[str, Any]]]]:
    return [(each, json.loads(each["policy"])["rules"]) for each in every("aws_ecr_lifecycle_policy")]


RUNNING = [
    Image((f"{kind}-{name}", f"sha-{name}"), 3000)
    for kind in ("live", "previous")
    for name in [*ENVIRONMENTS, "feat-x"]
]
BUILDS = [Image((f"sha-{number:040x}",), number) for number in range(250)]
LEFT_OVER = [Image((), 1000)]
FRESH = [Image((), 1)]


def test_each_service_has_its_repository() -> None:
    for stack in of_kind("registry"):
        assert {each["name"] for each in stack.resources("aws_ecr_repository")} == SERVICES | FEATURES, str(stack)


def test_a_feature_runs_images_of_its_own_repositories() -> None:
    for container in containers():
        output = container.body["image"].partition(":live-")[0].rpartition(".")[2]
        assert ("_feature_" in output) is container.task.stack.environment.is_feature, str(container)


def test_only_what_a_deployment_moves_can_be_moved() -> None:
    for repository in repositories():
        assert repository["image_tag_mutability"] == "IMMUTABLE_WITH_EXCLUSION", str(repository)
        filters = repository["image_tag_mutability_exclusion_filter"]
        assert filters == [{"filter": tag, "filter_type": "WILDCARD"} for tag in MOVABLE], str(repository)


def test_tasks_start_what_can_be_moved() -> None:
    tags = {container.body["image"].rpartition(":")[2] for container in containers()}
    assert all(fnmatchcase(tag, MOVABLE[0]) for tag in tags), tags


def test_images_are_scanned_and_go_with_their_registry() -> None:
    none(
        str(repository)
        for repository in repositories()
        if repository["image_scanning_configuration"] != {"scan_on_push": True}
    )


def test_every_repository_has_a_lifecycle() -> None:
    for stack in of_kind("registry"):
        covered = {each["repository"] for each in stack.resources("aws_ecr_lifecycle_policy")}
        assert covered == {f"${{{each.address}.name}}" for each in stack.resources("aws_ecr_repository")}, str(stack)


def test_what_runs_or_ran_last_stays_however_old_it_is() -> None:
    for policy, rules in policies():
        gone = expired(rules, [*RUNNING, *BUILDS, *LEFT_OVER])
        assert not gone & set(RUNNING), str(policy)


def test_old_builds_and_what_has_no_tag_go() -> None:
    for policy, rules in policies():
        gone = expired(rules, [*RUNNING, *BUILDS, *LEFT_OVER, *FRESH])
        assert gone == {*BUILDS[100:], *LEFT_OVER}, str(policy)


def test_what_only_has_a_version_stays() -> None:
    """A release's build counts among the builds; its version alone is no rule's."""
    for policy, rules in policies():
        tagged_only = [Image(("v1.0.0",), 4000)]
        assert not expired(rules, tagged_only), str(policy)


def test_rules_are_as_ecr_takes_them() -> None:
    for policy, rules in policies():
        priorities = [rule["rulePriority"] for rule in rules]
        assert len(priorities) == len(set(priorities)), str(policy)
        untagged = [rule["rulePriority"] for rule in rules if rule["selection"]["tagStatus"] == "untagged"]
        assert len(untagged) == 1, str(policy)
        assert all(rule["action"] == {"type": "expire"} for rule in rules), str(policy)
