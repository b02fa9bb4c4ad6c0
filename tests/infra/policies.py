"""Every IAM policy in a stack, statement by statement, wherever it is written."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.infra.synthesis import Resource, Stack, strings


@dataclass(frozen=True, eq=False)
class Statement:
    resource: Resource
    sid: str
    allows: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    principals: dict[str, Any]
    conditions: dict[str, Any]

    @property
    def pairs(self) -> set[tuple[str, str]]:
        return {(action, resource) for action in self.actions for resource in self.resources}

    def __str__(self) -> str:
        return f"{self.resource}, statement {self.sid}"


def statements_of(resource: Resource) -> list[Statement]:
    return list(_statements(resource))


def statements_in(stack: Stack) -> list[Statement]:
    return [statement for resource in stack.resources() for statement in statements_of(resource)]


def _statements(resource: Resource) -> Iterator[Statement]:
    for text in strings(resource.body):
        if not (text.startswith("{") and '"Version": "2012-10-17"' in text):
            continue
        for statement in json.loads(text)["Statement"]:
            yield Statement(
                resource=resource,
                sid=statement["Sid"],
                allows=statement["Effect"] == "Allow",
                actions=_listed(statement["Action"]),
                resources=_listed(statement.get("Resource", [])),
                principals=statement.get("Principal", {}),
                conditions=statement.get("Condition", {}),
            )


def _listed(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
