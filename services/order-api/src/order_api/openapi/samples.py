"""Forms of the samples of an operation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel


@dataclass(frozen=True)
class BodyExamples:
    """Description and named examples of a body. `schema` is set if the route does not declare one."""

    description: str
    examples: Mapping[str, Any]
    schema: Mapping[str, Any] | None = None
    media_type: str = "application/json"


@dataclass(frozen=True)
class Samples:
    """Request body of an operation, its responses by status, and the links from its responses."""

    responses: Mapping[str, BodyExamples]
    body: BodyExamples | None = None
    links: Mapping[str, Any] = field(default_factory=dict)


def to_json(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(mode="json")


def link(operation: str, parameter: str, pointer: str) -> dict[str, Any]:
    return {"operationId": operation, "parameters": {parameter: f"$response.body#/{pointer}"}}
