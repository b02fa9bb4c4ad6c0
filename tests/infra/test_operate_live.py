"""Checks of the live environment before a deployment: tables with their indexes, instances, and the live colour."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.stub import Stubber
from typer.testing import Result

from infra import environments
from infra.environments import DEV, Capacity, Deployment, Environment, Provisioned, Strategy
from infra.naming import blue_target_group, instances_provider
from order_shared import tables
from order_shared.tables import ORDERS, TABLES, Index, Key, Table
from tests.infra.conftest import HOME, Desk, stacks_named

FLAG = "--indexes-change"
OTHER = Index("orders_by_currency", hash_key=Key("currency"))


@pytest.fixture
def ground(desk: Desk) -> Desk:
    """dev stands, with its tables."""
    desk.stand(*stacks_named("dev"))
    for table in TABLES:
        make(desk, table)
    return desk


def make(desk: Desk, table: Table) -> None:
    keys = [
        table.hash_key,
        table.range_key,
        *(key for index in table.indexes for key in (index.hash_key, index.range_key)),
    ]
    request: dict[str, Any] = {
        "TableName": f"dev-{table.name}",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": schema(table.hash_key, table.range_key),
        "AttributeDefinitions": [
            {"AttributeName": key.name, "AttributeType": key.type.value}
            for key in dict.fromkeys(keys)
            if key is not None
        ],
    }
    if table.indexes:
        request["GlobalSecondaryIndexes"] = [
            {
                "IndexName": index.name,
                "KeySchema": schema(index.hash_key, index.range_key),
                "Projection": (
                    {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(index.include)}
                    if index.include
                    else {"ProjectionType": "KEYS_ONLY"}
                ),
            }
            for index in table.indexes
        ]
    desk.client("dynamodb").create_table(**request)


def schema(hash_key: Key, range_key: Key | None) -> list[dict[str, str]]:
    found = [{"AttributeName": hash_key.name, "KeyType": "HASH"}]
    return found + ([{"AttributeName": range_key.name, "KeyType": "RANGE"}] if range_key else [])


def become(monkeypatch: pytest.MonkeyPatch, desk: Desk, environment: Environment) -> None:
    monkeypatch.setitem(environments.ENVIRONMENTS, "dev", environment)
    desk.make_up(environment)


def with_orders(monkeypatch: pytest.MonkeyPatch, *indexes: Index) -> None:
    changed = replace(ORDERS, indexes=indexes)
    monkeypatch.setattr(
        "infra.operate.indexes.TABLES", tuple(changed if table is ORDERS else table for table in tables.TABLES)
    )


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == 3, result.output
    assert all(word in result.stderr for word in words), result.stderr


def told(desk: Desk) -> list[list[str]]:
    """Return the further options that each run of an app was given."""
    return [call["options"] for call in desk.syntheses()]


def test_tables_as_the_code_has_them_are_deployed(ground: Desk) -> None:
    assert ground.run("apply", "--env", "dev", "--yes").exit_code == 0
    assert told(ground) == [[], []]


def test_billing_that_changes_is_planned_with_its_indexes(ground: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 20. DynamoDB takes the change only with a capacity for every index."""
    become(monkeypatch, ground, replace(DEV, billing=Provisioned()))
    result = ground.run("plan", "--env", "dev")
    assert result.exit_code == 0, result.output
    assert told(ground) == [[FLAG], [FLAG]]
    assert "billing or indexes change: each index starts with 5 units" in result.stderr


def test_tables_that_are_billed_so_rest(ground: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 20. Autoscaling has moved their capacities."""
    dynamodb = ground.client("dynamodb")
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    for table in TABLES:
        dynamodb.update_table(TableName=f"dev-{table.name}", BillingMode="PROVISIONED", ProvisionedThroughput=units)
    become(monkeypatch, ground, replace(DEV, billing=Provisioned()))
    assert ground.run("apply", "--env", "dev", "--yes").exit_code == 0
    assert told(ground) == [[], []]
    with_orders(monkeypatch, *ORDERS.indexes, OTHER)
    assert ground.run("apply", "--env", "dev", "--yes").exit_code == 0
    assert told(ground)[2:] == [[FLAG], [FLAG]]


def test_a_new_environment_needs_no_look(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    become(monkeypatch, desk, replace(DEV, billing=Provisioned()))
    assert desk.run("apply", "--env", "dev", "--yes").exit_code == 0
    assert told(desk) == [[], []]


@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_an_index_that_changed_under_its_name_is_refused(
    ground: Desk, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """Row 22."""
    first, second, *others = ORDERS.indexes
    with_orders(monkeypatch, first, *others, replace(second, include=("status",)))
    refused(ground.run(verb, "--env", "dev"), "orders_by_id of orders changed but kept its name", "docs/evolution.md")
    assert not ground.syntheses()


def test_an_index_is_not_taken_away_in_the_step_that_brings_its_successor(
    ground: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 22. One after the other is allowed."""
    first, second, *others = ORDERS.indexes
    renamed = replace(second, name="orders_by_identity")
    with_orders(monkeypatch, first, *others, renamed)
    refused(ground.run("apply", "--env", "dev", "--yes"), "would lose the index orders_by_id", "first deploy both")
    with_orders(monkeypatch, first, *others, second, renamed)
    assert ground.run("apply", "--env", "dev", "--yes").exit_code == 0
    with_orders(monkeypatch, first, *others)
    assert ground.run("apply", "--env", "dev", "--yes").exit_code == 0


class TestInstances:
    """Row 24. The capacity provider stays in the cluster until no service asks for it."""

    NAMES = ("order-api", "feat-login-order-api")

    @pytest.fixture
    def answers(self, ground: Desk) -> Iterator[Stubber]:
        """Let ECS answer from its own model: moto does not tell what a service asks for."""
        with Stubber(ground.client("ecs")) as stubber:
            yield stubber

    def asking(self, answers: Stubber, provider: str, draining: str | None = None) -> None:
        """Let the cluster have services that ask for a provider, and tasks of an earlier deployment on another."""
        answers.add_response("list_services", {"serviceArns": [*self.NAMES]})
        earlier = [{"status": "ACTIVE", **strategy(draining)}] if draining else []
        services = [
            {"serviceName": name, "status": "ACTIVE", "deployments": earlier, **strategy(provider)}
            for name in self.NAMES
        ]
        answers.add_response("describe_services", {"services": services}, {"cluster": "dev", "services": [*self.NAMES]})

    def test_they_stay_while_services_ask_for_them(self, ground: Desk, answers: Stubber) -> None:
        self.asking(answers, instances_provider("dev"))
        refused(ground.run("apply", "--env", "dev", "--yes"), *self.NAMES, "keep_instances=True")
        assert not ground.applied()

    def test_they_stay_while_tasks_drain_on_them(self, ground: Desk, answers: Stubber) -> None:
        self.asking(answers, "FARGATE_SPOT", draining=instances_provider("dev"))
        refused(ground.run("apply", "--env", "dev", "--yes"), *self.NAMES)

    def test_they_go_once_nobody_asks(self, ground: Desk, answers: Stubber) -> None:
        self.asking(answers, "FARGATE_SPOT")
        assert ground.run("apply", "--env", "dev", "--yes").exit_code == 0
        answers.assert_no_pending_responses()

    @pytest.mark.usefixtures("answers")
    @pytest.mark.parametrize("kept", [{"keep_instances": True}, {"capacity": Capacity.EC2}])
    def test_nobody_is_asked_while_they_stay(
        self, ground: Desk, monkeypatch: pytest.MonkeyPatch, kept: dict[str, Any]
    ) -> None:
        """A call to ECS would fail here: it has no answer."""
        become(monkeypatch, ground, replace(DEV, **kept))
        assert ground.run("apply", "--env", "dev", "--yes").exit_code == 0


def strategy(provider: str) -> dict[str, Any]:
    return {"capacityProviderStrategy": [{"capacityProvider": provider, "weight": 1, "base": 0}]}


class TestLeavingBlueGreen:
    """Row 23. A service that rolls has blue only, and its rule turns there before the service has changed."""

    ROLLING = replace(DEV, deployment=Deployment(strategy=Strategy.ROLLING))

    @pytest.fixture
    def colours(self, ground: Desk, monkeypatch: pytest.MonkeyPatch) -> tuple[Desk, Any, str, list[str]]:
        """Return the desk, a client of the load balancer, the production rule, and blue and green."""
        ec2, elbv2, ecs = (ground.client(name) for name in ("ec2", "elbv2", "ecs"))
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"{HOME}{zone}")["Subnet"]
            for number, zone in enumerate("ab")
        ]
        balancer = elbv2.create_load_balancer(Name="dev", Subnets=[subnet["SubnetId"] for subnet in subnets])
        made = [
            elbv2.create_target_group(Name=name, Protocol="HTTP", Port=8080, VpcId=vpc)["TargetGroups"][0]
            for name in (blue_target_group("dev"), "dev-api-green")
        ]
        groups = [group["TargetGroupArn"] for group in made]
        listener = elbv2.create_listener(
            LoadBalancerArn=balancer["LoadBalancers"][0]["LoadBalancerArn"],
            Protocol="HTTP",
            Port=80,
            DefaultActions=[forward(groups, (100, 0))],
        )["Listeners"][0]["ListenerArn"]
        conditions = [{"Field": "path-pattern", "Values": ["/v1/*"]}]
        rule = elbv2.create_rule(
            ListenerArn=listener, Priority=1, Conditions=conditions, Actions=[forward(groups, (100, 0))]
        )["Rules"][0]["RuleArn"]
        ecs.create_cluster(clusterName="dev")
        container = {"name": "order-api", "image": "order-api", "memory": 512}
        ecs.register_task_definition(family="dev-order-api", containerDefinitions=[container])
        target = {"targetGroupArn": groups[0], "containerName": "order-api", "containerPort": 8080}
        advanced = {
            "alternateTargetGroupArn": groups[1],
            "productionListenerRule": rule,
            "roleArn": "arn:aws:iam::1:role/r",
        }
        ecs.create_service(
            cluster="dev",
            serviceName="order-api",
            taskDefinition="dev-order-api",
            loadBalancers=[{**target, "advancedConfiguration": advanced}],
        )
        become(monkeypatch, ground, self.ROLLING)
        return ground, elbv2, rule, groups

    def test_it_goes_on_while_blue_is_live(self, colours: tuple[Desk, Any, str, list[str]]) -> None:
        desk, _, _, _ = colours
        assert desk.run("apply", "--env", "dev", "--only", "order-api", "--yes").exit_code == 0

    def test_it_is_refused_while_green_is(self, colours: tuple[Desk, Any, str, list[str]]) -> None:
        desk, elbv2, rule, groups = colours
        elbv2.modify_rule(RuleArn=rule, Actions=[forward(groups, (0, 100))])
        result = desk.run("apply", "--env", "dev", "--only", "order-api", "--yes")
        refused(result, "green has the traffic of order-api", "--force-new-deployment", "make wait-deployments ENV=dev")
        assert not desk.applied()


def forward(groups: list[str], weights: tuple[int, int]) -> dict[str, Any]:
    targets = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in zip(groups, weights, strict=True)]
    return {"Type": "forward", "ForwardConfig": {"TargetGroups": targets}}
