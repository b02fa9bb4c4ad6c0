"""Security groups: one port a rule, and only who needs it."""

from tests.infra.synthesis import Resource, every, none, of_kind

PORTS = {80, 443, 8443, 8080, 8081}
IN, OUT = "aws_vpc_security_group_ingress_rule", "aws_vpc_security_group_egress_rule"
ANYWHERE = "0.0.0.0/0"
OPEN_TO_ALL = {80, 443, 8443}
"""Of the load balancer: 80 redirects, 8443 is the same API behind the same tokens."""
LOAD_BALANCER = ".outputs.load_balancer_security_group_id}"


def rules() -> list[Resource]:
    return every(IN) + every(OUT)


def group(rule: Resource) -> str:
    """The name of its security group in the stack."""
    return str(rule["security_group_id"]).removeprefix("${aws_security_group.").removesuffix(".id}")


def test_a_rule_opens_one_port() -> None:
    none(
        f"{rule}: {rule['ip_protocol']} {rule.get('from_port')} to {rule.get('to_port')}"
        for rule in rules()
        if not (rule["ip_protocol"] == "tcp" and rule["from_port"] == rule["to_port"] and rule["from_port"] in PORTS)
    )


def test_every_rule_is_one_of_these() -> None:
    """No group has rules of its own inside, and none of the older resources is used."""
    none(
        f"{each}: has rules of its own"
        for each in every("aws_security_group")
        if each.get("ingress") or each.get("egress")
    )
    assert not [each for stack in of_kind("supporting") for each in stack.resources("aws_security_group_rule")]


def test_who_is_let_in() -> None:
    expected = {
        "supporting": {("load_balancer_security_group", port, ANYWHERE) for port in OPEN_TO_ALL},
        "order-api": {("security_group", 8080, "the load balancer")},
        "order-processor": set(),
        "order-notifier": set(),
    }
    for kind, allowed in expected.items():
        for stack in of_kind(kind, where=lambda stack: stack.kind != "supporting" or not stack.environment.is_feature):
            endpoints = {("endpoints_security_group", 443, stack.environment.cidr)} & {
                ("endpoints_security_group", 443, stack.environment.cidr)
                for each in stack.resources("aws_security_group")
                if each.name == "endpoints_security_group"
            }
            found = {(group(rule), rule["from_port"], source(rule)) for rule in stack.resources(IN)}
            assert found == allowed | endpoints, str(stack)


def source(rule: Resource) -> str:
    referenced = str(rule.get("referenced_security_group_id", ""))
    assert bool(referenced) != bool(rule.get("cidr_ipv4")), str(rule)
    return "the load balancer" if referenced.endswith(LOAD_BALANCER) else str(rule.get("cidr_ipv4"))


def test_who_goes_where() -> None:
    """Tasks reach HTTPS. The load balancer reaches the API's port, within the VPC."""
    none(
        f"{rule}: {rule['from_port']} to {rule.get('cidr_ipv4')}"
        for rule in every(OUT)
        if (
            group(rule) == "load_balancer_security_group"
            and (rule["from_port"], rule["cidr_ipv4"]) != (8080, rule.stack.environment.cidr)
        )
        or (group(rule) != "load_balancer_security_group" and rule["from_port"] != 443)
    )


def test_without_nat_tasks_go_nowhere_but_to_endpoints() -> None:
    without = [
        stack
        for kind in ("order-api", "order-processor", "order-notifier")
        for stack in of_kind(kind, where=lambda stack: stack.environment.egress == "endpoints")
    ]
    for stack in without:
        ways = {rule.get("cidr_ipv4") or rule["prefix_list_id"].partition("(")[0] for rule in stack.resources(OUT)}
        assert ways == {stack.environment.cidr, "${element"}, str(stack)
        lists = {rule["prefix_list_id"] for rule in stack.resources(OUT) if rule.get("prefix_list_id")}
        assert len(lists) == 2, f"{stack}: S3 and DynamoDB"


def test_every_rule_says_what_it_is_for() -> None:
    none(
        f"{each}: has no description"
        for each in [*rules(), *every("aws_security_group")]
        if not each.get("description")
    )


def test_the_default_group_allows_nothing() -> None:
    for stack in of_kind("supporting", where=lambda stack: not stack.environment.is_feature):
        default = stack.one("aws_default_security_group")
        assert default["vpc_id"] == f"${{{stack.one('aws_vpc').address}.id}}"
        assert not default.get("ingress"), str(default)
        assert not default.get("egress"), str(default)


def test_a_group_and_its_rules_stand_until_their_successors_do() -> None:
    """Row 18. A group has a prefix for that: AWS allows one of a name in a VPC."""
    none(
        f"{each}: {each.get('lifecycle')}"
        for each in [*rules(), *every("aws_security_group")]
        if not each.get("lifecycle", {}).get("create_before_destroy")
    )
    none(f"{group}: has a fixed name" for group in every("aws_security_group") if "name" in group.body)
