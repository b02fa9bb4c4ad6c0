"""Calls of each operation with curl, from the examples of the OpenAPI document."""

import json
import shlex
from collections.abc import Iterator

from order_api.pages.reference.specification import Node, Operation, Specification

SETUP = """\
export ORDER_API_URL=http://localhost:8000
export ORDER_TOKEN=...
"""


def curl(specification: Specification, operation: Operation) -> str:
    """Return a command that calls the operation with its required parameters, and with a body if it takes one."""
    return " \\\n  ".join(_parts(specification, operation))


def _parts(specification: Specification, operation: Operation) -> Iterator[str]:
    parameters = [specification.resolved(each) for each in operation.node.get("parameters", ())]
    path = operation.path
    for parameter in parameters:
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", str(_example(parameter)))
    body = operation.node.get("requestBody")
    is_default = operation.method == ("POST" if body else "GET")
    method = "" if is_default else f" -X {operation.method}"
    yield f'curl -{"N" if operation.is_stream else "i"}{method} "$ORDER_API_URL{path}"'
    if operation.node.get("security"):
        yield '-H "Authorization: Bearer $ORDER_TOKEN"'
    for parameter in parameters:
        if parameter["in"] == "header" and parameter.get("required"):
            yield f'-H "{parameter["name"]}: {_example(parameter)}"'
    if body:
        media_type, media = next(iter(body["content"].items()))
        yield f'-H "Content-Type: {media_type}"'
        (example, *_) = specification.examples(media)
        yield f"-d {shlex.quote(json.dumps(example.value, ensure_ascii=False))}"


def _example(parameter: Node) -> object:
    if "example" in parameter:
        return parameter["example"]
    return parameter["schema"]["examples"][0]
