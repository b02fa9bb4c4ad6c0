"""The VPC: three zones, the way out that was chosen and no other."""

import ipaddress
from collections import Counter

import pytest

from infra.environments import ZONES, Capacity, Egress
from tests.infra.synthesis import Stack, every, of_kind

NAT_GATEWAYS = {Egress.NAT_SINGLE: 1, Egress.NAT_PER_ZONE: 3, Egress.ENDPOINTS: 0}
FREE = {"s3", "dynamodb"}
TASKS_NEED = {"ecr.api", "ecr.dkr", "logs", "secretsmanager", "sqs"}
"""Not KMS: what they use calls it for them."""
EXEC_NEEDS = {"ssmmessages"}
INSTANCES_NEED = {"ecs", "ecs-agent", "ecs-telemetry", "ssm", "ssmmessages"}
ANYWHERE = "0.0.0.0/0"


def networks(egress: Egress | None = None) -> list[Stack]:
    return of_kind(
        "supporting",
        where=lambda stack: not stack.environment.is_feature and egress in {None, stack.environment.egress},
    )


def routes(stack: Stack, side: str) -> dict[str, str]:
    """Where the route tables of public or private subnets send what is for anywhere."""
    found = {}
    for route in stack.resources("aws_route"):
        assert route["destination_cidr_block"] == ANYWHERE, str(route)
        table = route["route_table_id"].removeprefix("${aws_route_table.").removesuffix("_routes.id}")
        if table.startswith(side):
            found[table] = str(route.get("nat_gateway_id") or route.get("gateway_id"))
    return found


def test_subnets_are_two_in_each_zone_and_apart() -> None:
    for stack in networks():
        subnets = stack.resources("aws_subnet")
        sides = Counter((subnet.name.split("_")[0], subnet["availability_zone"]) for subnet in subnets)
        zones = {f"{stack.region}{letter}" for letter in "abc"}
        assert sides == dict.fromkeys(((side, zone) for side in ("public", "private") for zone in zones), 1), str(stack)
        blocks = [ipaddress.ip_network(subnet["cidr_block"]) for subnet in subnets]
        inside = ipaddress.ip_network(stack.environment.cidr)
        assert all(block.subnet_of(inside) for block in blocks), str(stack)  # type: ignore[arg-type]  # both are v4
        assert not [1 for one in blocks for other in blocks if one is not other and one.overlaps(other)], str(stack)
        assert len(zones) == ZONES


def test_nothing_gets_a_public_address_by_itself() -> None:
    assert all(subnet["map_public_ip_on_launch"] is False for subnet in every("aws_subnet"))


def test_each_subnet_has_its_own_routes() -> None:
    for stack in networks():
        pairs = {
            association["subnet_id"].split(".")[1]: association["route_table_id"].split(".")[1]
            for association in stack.resources("aws_route_table_association")
        }
        assert pairs == {subnet.name: f"{subnet.name}_routes" for subnet in stack.resources("aws_subnet")}, str(stack)


def test_public_subnets_reach_the_internet() -> None:
    gateway = "${aws_internet_gateway.internet_gateway.id}"
    for stack in networks():
        assert routes(stack, "public") == {f"public_{zone}": gateway for zone in range(ZONES)}, str(stack)


@pytest.mark.parametrize("egress", Egress)
def test_nat_gateways(egress: Egress) -> None:
    for stack in networks(egress):
        count = NAT_GATEWAYS[egress]
        gateways = stack.resources("aws_nat_gateway")
        assert len(gateways) == len(stack.resources("aws_eip")) == count, str(stack)
        zones = {gateway["subnet_id"] for gateway in gateways}
        assert zones == {f"${{aws_subnet.public_{zone}.id}}" for zone in range(count)}, str(stack)


def test_private_subnets_go_out_through_the_gateway_of_their_zone() -> None:
    for stack in networks():
        count = NAT_GATEWAYS[stack.environment.egress]
        expected = {f"private_{zone}": f"${{aws_nat_gateway.nat_{zone % count}.id}}" for zone in range(ZONES) if count}
        assert routes(stack, "private") == expected, str(stack)


@pytest.mark.parametrize("egress", Egress)
def test_endpoints(egress: Egress) -> None:
    for stack in networks(egress):
        environment = stack.environment
        wanted = TASKS_NEED if egress is Egress.ENDPOINTS else set()
        if egress is Egress.ENDPOINTS and environment.exec:
            wanted = wanted | EXEC_NEEDS
        if egress is Egress.ENDPOINTS and environment.capacity is Capacity.EC2:
            wanted = wanted | INSTANCES_NEED
        prefix = f"com.amazonaws.{stack.region}."
        found: dict[str, set[str]] = {"Gateway": set(), "Interface": set()}
        for endpoint in stack.resources("aws_vpc_endpoint"):
            found[endpoint["vpc_endpoint_type"]].add(endpoint["service_name"].removeprefix(prefix))
        assert found == {"Gateway": FREE, "Interface": wanted}, str(stack)


def test_endpoints_serve_every_private_subnet() -> None:
    tables = [f"${{aws_route_table.private_{zone}_routes.id}}" for zone in range(ZONES)]
    subnets = [f"${{aws_subnet.private_{zone}.id}}" for zone in range(ZONES)]
    for endpoint in every("aws_vpc_endpoint"):
        if endpoint["vpc_endpoint_type"] == "Gateway":
            assert endpoint["route_table_ids"] == tables, str(endpoint)
            continue
        assert endpoint["subnet_ids"] == subnets, str(endpoint)
        assert endpoint["private_dns_enabled"] is True, str(endpoint)
        assert endpoint["security_group_ids"] == ["${aws_security_group.endpoints_security_group.id}"], str(endpoint)


def test_names_resolve_inside() -> None:
    for vpc in every("aws_vpc"):
        assert (vpc["enable_dns_support"], vpc["enable_dns_hostnames"]) == (True, True), str(vpc)
        assert vpc["cidr_block"] == vpc.stack.environment.cidr, str(vpc)


def test_all_flows_are_logged() -> None:
    for stack in networks():
        log = stack.one("aws_flow_log")
        assert log["traffic_type"] == "ALL", str(stack)
        assert log["log_destination"] == "${aws_cloudwatch_log_group.vpc_flow_logs.arn}", str(stack)


def test_what_supporting_publishes_is_private() -> None:
    for stack in networks():
        expected = [f"${{aws_subnet.private_{zone}.id}}" for zone in range(ZONES)]
        assert stack.outputs["private_subnet_ids"] == expected, str(stack)
