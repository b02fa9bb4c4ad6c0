"""A task may do what its service's code does, to the tables and queues of its own environment, and nothing else."""

import asyncio
import re
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest

from aws_json_client import Answer
from order_shared.aws.sqs import SqsQueue
from order_shared.messaging.queue import OutgoingMessage, Visibility
from order_shared.storage.audit_trail import DynamoAuditTrail
from order_shared.tables import TABLES
from tests.infra.containers import Container, containers
from tests.infra.policies import Statement, statements_of
from tests.infra.storage_calls import (
    Access,
    imports,
    methods_used,
    public_methods,
    storage_accesses,
    unknown_dynamo_calls,
)
from tests.infra.synthesis import Resource, every, none, of_kind

SERVICES = {"order-api": "order_api", "order-processor": "order_processor", "order-notifier": "order_notifier"}
QUEUES = {"order_notifier": "changes_"}
"""What the names of a service's queues begin with in the outputs, if it has queues of its own."""
USE_KEY = {"Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "DescribeKey"}

OUTPUT = re.compile(r"\$\{data\.terraform_remote_state\.(?P<state>\w+)\.outputs\.(?P<output>\w+)\}(?P<rest>.*)")


@dataclass
class Recorder:
    """Answers whatever SQS is asked, and keeps what it was."""

    asked: set[tuple[str, str]] = field(default_factory=set)

    name = "sqs"

    async def call(self, operation: str, payload: Mapping[str, Any]) -> Answer:
        queue = str(payload.get("QueueName") or payload.get("QueueUrl"))
        self.asked.add((operation.removesuffix("Batch"), queue))
        counts = dict.fromkeys(("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"), "0")
        return Answer({"QueueUrl": queue, "Attributes": counts}, None)


MESSAGE = OutgoingMessage("{}")
QUEUE_METHODS: dict[str, Callable[[SqsQueue], Coroutine[Any, Any, object]]] = {
    "send": lambda queue: queue.send([MESSAGE]),
    "dead_letter": lambda queue: queue.dead_letter([MESSAGE]),
    "receive": lambda queue: queue.receive(1, 0, 30),
    "delete": lambda queue: queue.delete(["receipt"]),
    "change_visibility": lambda queue: queue.change_visibility([Visibility("receipt", 0)]),
    "depth": lambda queue: queue.depth(),
    "ping": lambda queue: queue.ping(),
}


@cache
def queue_accesses(service: str) -> set[tuple[str, str]]:
    """The actions, and the outputs that name the queues' ARNs."""
    used = methods_used(service, "queue", public_methods(SqsQueue))
    if not imports(service, "Publisher"):
        used.remove("send")  # only a publisher sends, and every service imports its module through the tracing port
    recorder = Recorder()
    queue = SqsQueue(
        f"{QUEUES.get(service, '')}queue_arn",
        f"{QUEUES.get(service, '')}dead_letter_queue_arn",
        service=recorder,
        polls=recorder,
    )
    for method in used:
        asyncio.run(_done(QUEUE_METHODS[method](queue)))
    return {(f"sqs:{action}", name) for action, name in recorder.asked}


async def _done(work: Coroutine[Any, Any, object]) -> None:
    await work


@cache
def table_accesses(service: str) -> set[tuple[str, str]]:
    """The actions, and the outputs that name the tables' ARNs, with the index."""
    return {(f"dynamodb:{access.action}", _resource(access)) for access in storage_accesses(service)}


def _resource(access: Access) -> str:
    return f"{access.table}_table_arn" + (f"/index/{access.index}" if access.index else "")


def role_policy(task: Resource, role: str) -> list[Statement]:
    """What the task's `task` or `execution` role may."""
    name = f"{task.stack.kind.replace('-', '_')}_{role}"
    assert task[f"{role}_role_arn"] == f"${{aws_iam_role.{name}_role.arn}}"
    (policy,) = [
        each
        for each in task.stack.resources("aws_iam_role_policy")
        if each["role"] == f"${{aws_iam_role.{name}_role.id}}"
    ]
    return statements_of(policy)


def granted(statements: list[Statement], prefix: str) -> set[tuple[str, str]]:
    """Of one AWS service, the resources as outputs of the environment's own data."""
    found = set()
    for statement in statements:
        for action, resource in statement.pairs:
            if not action.startswith(prefix):
                continue
            reference = OUTPUT.fullmatch(resource)
            assert reference is not None, f"{statement}: {resource} is not an ARN that supporting published"
            stack = statement.resource.stack
            own = f"state_{stack.environment.name}_supporting_{stack.region}".replace("-", "_")
            assert reference["state"] == own, f"{statement}: {resource} is not of this environment"
            found.add((action, reference["output"] + reference["rest"]))
    return found


def table_of(pair: tuple[str, str]) -> tuple[str, str]:
    return pair[0], pair[1].partition("/")[0]


class TestTables:
    def test_each_call_is_allowed(self) -> None:
        none(
            f"{task}: {access} is called, and not allowed"
            for task in every("aws_ecs_task_definition")
            for access in table_accesses(SERVICES[task.stack.kind]) - granted(role_policy(task, "task"), "dynamodb:")
        )

    def test_nothing_else_is_allowed(self) -> None:
        """An action that a table needs is allowed on its indexes too, since one statement names both."""
        for task in every("aws_ecs_task_definition"):
            needed = table_accesses(SERVICES[task.stack.kind])
            allowed = granted(role_policy(task, "task"), "dynamodb:")
            assert {table_of(pair) for pair in allowed} == {table_of(pair) for pair in needed}, str(task)
            assert {resource for _, resource in allowed} <= {
                place for _, resource in needed for place in (resource, resource.partition("/")[0])
            }, str(task)

    def test_every_way_to_dynamodb_is_known(self) -> None:
        assert unknown_dynamo_calls() == set()

    @pytest.mark.parametrize("service", SERVICES.values())
    def test_services_write_no_audit_trail(self, service: str) -> None:
        assert not methods_used(service, "audit", public_methods(DynamoAuditTrail))

    @pytest.mark.parametrize("service", SERVICES.values())
    def test_the_calls_are_found(self, service: str) -> None:
        """At least those without which no service could work."""
        written = ("PutItem", "events") if service == "order_notifier" else ("UpdateItem", "orders")
        assert {(f"dynamodb:{written[0]}", f"{written[1]}_table_arn"), ("dynamodb:GetItem", "orders_table_arn")} <= (
            table_accesses(service)
        )


class TestQueues:
    def test_what_is_allowed_is_what_is_called(self) -> None:
        for task in every("aws_ecs_task_definition"):
            needed = queue_accesses(SERVICES[task.stack.kind])
            assert granted(role_policy(task, "task"), "sqs:") == needed, str(task)

    def test_every_call_of_the_queue_is_known(self) -> None:
        assert public_methods(SqsQueue) == QUEUE_METHODS.keys()


def test_arns_are_of_the_environments_own_tables() -> None:
    for stack in of_kind("supporting"):
        account = "${data.aws_caller_identity.caller.account_id}"
        prefix = f"arn:aws:dynamodb:{stack.region}:{account}:table/{stack.environment.table_prefix}"
        expected = {f"{table.name}_table_arn": prefix + table.name for table in TABLES}
        assert {name: arn for name, arn in stack.outputs.items() if name.endswith("_table_arn")} == expected, str(stack)


def test_the_task_has_nothing_besides() -> None:
    for task in every("aws_ecs_task_definition"):
        services = {action.split(":")[0] for each in role_policy(task, "task") for action in each.actions}
        shell = {"ssmmessages"} if task.stack.environment.exec else set()
        assert services == {"dynamodb", "sqs", "kms"} | shell, str(task)


@pytest.mark.parametrize("role", ["task", "execution"])
def test_the_key_serves_through_the_services_it_is_for(role: str) -> None:
    through = {"task": ("dynamodb", "sqs"), "execution": ("secretsmanager",)}[role]
    for container in containers():
        task = container.task
        statements = [each for each in role_policy(task, role) if any("kms:" in action for action in each.actions)]
        if role == "execution" and not container.secrets:
            assert not statements, str(task)
            continue
        (statement,) = statements
        assert {action.removeprefix("kms:") for action in statement.actions} <= USE_KEY, str(statement)
        assert {"kms:Decrypt", "kms:GenerateDataKey"} <= set(statement.actions), str(statement)
        expected = [f"{service}.{task.stack.region}.amazonaws.com" for service in through]
        assert statement.conditions == {"StringEquals": {"kms:ViaService": expected}}, str(statement)
        assert [resource.rpartition(".")[2] for resource in statement.resources] == ["data_key_arn}"], str(statement)


def started_with(container: Container) -> dict[str, set[str]]:
    """What the execution role reaches, by what is needed to start this container and to write its log."""
    options = container.body["logConfiguration"]["options"]
    image = container.body["image"].partition(":live-")[0]
    return {
        "ecr:BatchGetImage": {image.replace("_repository_url}", "_repository_arn}")},
        **({"secretsmanager:GetSecretValue": set(container.secrets.values())} if container.secrets else {}),
        "logs:PutLogEvents": {options["awslogs-group"].replace("_log_group_name}", "_log_group_arn}") + ":*"},
    }


def test_the_agent_reaches_what_the_container_is_started_with() -> None:
    for container in containers():
        statements = role_policy(container.task, "execution")
        for action, expected in started_with(container).items():
            found = {resource for each in statements if action in each.actions for resource in each.resources}
            assert found == expected, f"{container}: {action}"
        services = {action for each in statements for action in each.actions if not action.startswith(("ecr:", "kms:"))}
        secrets = {"secretsmanager:GetSecretValue"} if container.secrets else set()
        assert services == {"logs:CreateLogStream", "logs:PutLogEvents"} | secrets, str(container)
