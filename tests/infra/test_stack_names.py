"""Names and tags: consistent, short enough, and of nobody's account."""

import re
from collections import Counter

from infra.environments import ORGANISATION
from tests.infra.synthesis import every, none, stacks, strings

SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
METRIC_FILTER = re.compile(r"[A-Za-z]+_filter")
"""Named for the metric, which CloudWatch writes so."""
ACCOUNT_NUMBER = re.compile(r"(?<![\w.])\d{12}(?![\w.])")
REGION = re.compile(r"\b(?:af|ap|ca|eu|il|me|mx|sa|us)-(?:central|north|south|east|west|northeast|southeast)-\d\b")

BALANCER_LENGTH = 32  # Elastic Load Balancing: load balancers and target groups
PROJECT = "order-platform"


def test_tags() -> None:
    for stack in stacks():
        owner = "account" if stack.kind == "registry" else stack.environment.name
        expected = {"Project": PROJECT, "Environment": owner, "Workspace": stack.kind, "ManagedBy": "terraform"}
        assert stack.tags == expected, str(stack)
        assert len(stack.body["provider"]) == len(stack.body["provider"]["aws"]) == 1, str(stack)


def test_instances_and_volumes_are_tagged_too() -> None:
    """The provider's default tags do not reach what an auto scaling group starts."""
    for template in every("aws_launch_template"):
        tagged = {each["resource_type"]: each["tags"]["Environment"] for each in template["tag_specifications"]}
        assert tagged == dict.fromkeys(("instance", "volume"), template.stack.owner), str(template)


def test_services_hand_their_tags_on() -> None:
    none(str(service) for service in every("aws_ecs_service") if service.get("propagate_tags") != "SERVICE")


def test_names_in_the_code_are_snake_case() -> None:
    none(
        f"{resource}: {resource.name}"
        for stack in stacks()
        for resource in stack.resources()
        if not SNAKE.fullmatch(resource.name)
        and not (resource.kind == "aws_cloudwatch_log_metric_filter" and METRIC_FILTER.fullmatch(resource.name))
    )


def test_outputs_are_snake_case() -> None:
    none(f"{stack}: {name}" for stack in stacks() for name in stack.outputs if not SNAKE.fullmatch(name))


def test_no_arn_in_capitals() -> None:
    shouted = re.compile(r"(?<![a-zA-Z])\w+_ARN(?![a-zA-Z])")
    none(f"{stack}: {text[:80]}" for stack in stacks() for text in strings(stack.body) if shouted.search(text))


def test_an_output_that_is_an_arn_says_so() -> None:
    none(
        f"{stack}: {name} is {value}"
        for stack in stacks()
        for name, value in stack.outputs.items()
        if isinstance(value, str)
        and (value.endswith(".arn}") or value.startswith("arn:")) != name.endswith("_arn")
        and not value.endswith("certificate_arn}")
    )


def test_names_of_the_load_balancer_fit_and_are_its_own() -> None:
    named = [*every("aws_lb"), *every("aws_lb_target_group")]
    none(f"{resource}: {resource['name']}" for resource in named if not 1 <= len(resource["name"]) <= BALANCER_LENGTH)
    in_one_region = Counter((each.stack.variant, each.stack.region, each.kind, each["name"]) for each in named)
    assert max(in_one_region.values()) == 1, in_one_region.most_common(3)
    hosted = [each for each in named if each.stack.environment.name == "dev" or each.stack.environment.is_feature]
    owners: dict[str, set[str]] = {}
    for each in hosted:
        owners.setdefault(each["name"], set()).add(each.stack.environment.name)
    none(f"dev: {name} is of {', '.join(sorted(who))}" for name, who in owners.items() if len(who) > 1)


def test_listener_rules_of_one_host_have_priorities_of_their_own() -> None:
    priorities: dict[int, set[str]] = {}
    for rule in every("aws_lb_listener_rule"):
        assert 1 <= rule["priority"] <= 50_000, str(rule)  # Elastic Load Balancing
        priorities.setdefault(rule["priority"], set()).add(rule.stack.environment.name)
    assert all(len(owners) == 1 for owners in priorities.values()), priorities


def test_no_account_number() -> None:
    none(
        f"{stack}: {text[:120]}"
        for stack in stacks()
        for text in strings({name: part for name, part in stack.body.items() if name != "//"})
        if ACCOUNT_NUMBER.search(text)
    )


def test_no_other_region() -> None:
    """Only a stack of an environment of several regions names another one of them."""
    none(
        f"{stack}: {region} in {text[:80]}"
        for stack in stacks()
        for text in strings(stack.body)
        for region in REGION.findall(text)
        if region not in {stack.region, *stack.environment.regions}
    )


def test_a_stack_is_in_its_own_region() -> None:
    none(str(stack) for stack in stacks() if stack.name != f"{stack.kind}-{stack.region}")


def test_customers_names_are_below_the_domain() -> None:
    hosts = {
        host
        for rule in every("aws_lb_listener_rule")
        for condition in rule["condition"]
        for host in condition.get("host_header", {"values": []})["values"]
    }
    assert all(host.endswith(f".{ORGANISATION.domain}") for host in hosts), hosts
    for rule in every("aws_lb_listener_rule"):
        by_host = [condition for condition in rule["condition"] if "host_header" in condition]
        assert by_host == [{"host_header": {"values": [rule.stack.environment.api_host]}}], str(rule)
