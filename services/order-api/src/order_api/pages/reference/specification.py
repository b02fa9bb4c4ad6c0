"""Read access to an OpenAPI document: operations by tag, and resolved references."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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


def reference_name(node: Node) -> str:
    """Return the last part of a reference, such as `Order`."""
    return str(node["$ref"]).rpartition("/")[2]
