"""Read access to an OpenAPI document: operations by tag, and resolved references."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Node = Mapping[str, Any]

METHODS = frozenset({"get", "put", "post", "patch", "delete"})


@dataclass(frozen=True, kw_only=True)
class Example:
    """Named example of a request or response."""

    name: str
    value: Any

    @property
    def text(self) -> str:
        return json.dumps(self.value, indent=2, ensure_ascii=False)


@dataclass(frozen=True, kw_only=True)
class Operation:
    method: str
    path: str
    node: Node

    @property
    def id(self) -> str:
        return str(self.node["operationId"])

    @property
    def successes(self) -> list[tuple[str, Node]]:
        """Return the answers that are no errors, by status."""
        return [(status, answer) for status, answer in self.node["responses"].items() if status[0] in "23"]

    @property
    def is_stream(self) -> bool:
        return any("text/event-stream" in answer.get("content", {}) for answer in self.node["responses"].values())


class Specification:
    """OpenAPI document whose references are local, such as `#/components/schemas/Order`."""

    def __init__(self, document: Node) -> None:
        self.document = document

    @property
    def schemas(self) -> Mapping[str, Node]:
        schemas: Mapping[str, Node] = self.document["components"]["schemas"]
        return schemas

    @property
    def tags(self) -> Sequence[Node]:
        tags: Sequence[Node] = self.document["tags"]
        return tags

    def operations(self, tag: str) -> Iterator[Operation]:
        """Yield the operations of a tag, in the order of the document."""
        for path, methods in self.document["paths"].items():
            for method, node in methods.items():
                if method in METHODS and node["tags"][0] == tag:
                    yield Operation(method=method.upper(), path=path, node=node)

    @cached_property
    def common_parameters(self) -> Mapping[str, Node]:
        """Return the headers that every operation with a token accepts, by name."""
        return _in_all([_headers_of(self, operation) for operation in self._operations_with_token()])

    @cached_property
    def common_answer_headers(self) -> Mapping[str, Node]:
        """Return the headers that every successful answer to a request with a token has, by name."""
        answers = [answer for operation in self._operations_with_token() for _, answer in operation.successes]
        return _in_all([answer.get("headers", {}) for answer in answers])

    def _operations_with_token(self) -> list[Operation]:
        every = [operation for tag in self.tags for operation in self.operations(tag["name"])]
        return [operation for operation in every if operation.node.get("security")]

    def resolved(self, node: Node) -> Node:
        """Return the node that a reference names; any other node as it is."""
        while "$ref" in node:
            target: Any = self.document
            for name in node["$ref"].removeprefix("#/").split("/"):
                target = target[name]
            node = target
        return node

    def examples(self, media: Node) -> list[Example]:
        """Return the examples of a body."""
        if "example" in media:
            return [Example(name="example", value=media["example"])]
        return [
            Example(name=name, value=self.resolved(example)["value"])
            for name, example in media.get("examples", {}).items()
        ]


def _headers_of(specification: Specification, operation: Operation) -> Mapping[str, Node]:
    parameters = [specification.resolved(each) for each in operation.node.get("parameters", ())]
    return {each["name"]: each for each in parameters if each["in"] == "header"}


def _in_all(every: Sequence[Mapping[str, Node]]) -> Mapping[str, Node]:
    """Return the entries of the first mapping that all mappings have."""
    first, *others = every
    return {name: node for name, node in first.items() if all(other.get(name) == node for other in others)}


def reference_name(node: Node) -> str:
    """Return the last part of a reference, such as `Order`."""
    return str(node["$ref"]).rpartition("/")[2]
