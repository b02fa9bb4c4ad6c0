"""The containers that task definitions start: one each."""

import json
from dataclasses import dataclass

from infra.environments import Environment
from tests.infra.synthesis import Json, Resource, every


@dataclass(frozen=True, eq=False)
class Container:
    task: Resource
    body: Json

    @property
    def service(self) -> str:
        return self.task.stack.kind

    @property
    def environment(self) -> Environment:
        return self.task.stack.environment

    @property
    def settings(self) -> dict[str, str]:
        return {each["name"]: each["value"] for each in self.body["environment"]}

    @property
    def secrets(self) -> dict[str, str]:
        """The setting, and the ARN of what holds its value."""
        return {each["name"]: each["valueFrom"] for each in self.body["secrets"]}

    def __str__(self) -> str:
        return str(self.task)


def containers() -> list[Container]:
    found = []
    for task in every("aws_ecs_task_definition"):
        (body,) = json.loads(task["container_definitions"])
        found.append(Container(task, body))
    return found
