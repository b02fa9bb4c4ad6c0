"""Move what several operations have in common to `components`, so that it is in the document once."""

import json
from collections import defaultdict
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from order_api.openapi.operations import operation_id
from order_api.problems import MEDIA_TYPE

OTHER_ERRORS: dict[str, Any] = {
    "description": "Another error, which a later release may add.",
    "headers": {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}},
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
"""Response for the statuses that an operation does not list."""


def share_errors(document: dict[str, Any]) -> None:
    """Replace each error response that several operations have by a reference to `components/responses`.

    Responses are equal if they differ in the path of their examples only. Also adds the response `default`.
    """
    groups: dict[str, list[tuple[dict[str, Any], str]]] = defaultdict(list)
    for operation in _operations(document):
        for status, response in operation["responses"].items():
            if MEDIA_TYPE in response.get("content", {}):
                groups[_content(response)].append((operation, status))
    shared: dict[str, Any] = {"OtherErrors": OTHER_ERRORS}
    for places in groups.values():
        if len(places) == 1:
            continue
        first, status = places[0]
        response = first["responses"][status]
        name = _name(response)
        if name in shared:
            name += f"Of{first['operationId'][0].upper()}{first['operationId'][1:]}"
        shared[name] = response
        for operation, place in places:
            operation["responses"][place] = {"$ref": f"#/components/responses/{name}"}
    for operation in _operations(document):
        if operation["security"]:
            operation["responses"]["default"] = {"$ref": "#/components/responses/OtherErrors"}
    document["components"]["responses"] = dict(sorted(shared.items()))


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for operations in document["paths"].values():
        yield from operations.values()


def _content(response: dict[str, Any]) -> str:
    """Return the response as text, without the paths of its examples."""
    copy = deepcopy(response)
    for example in copy["content"][MEDIA_TYPE]["examples"].values():
        del example["value"]["instance"]
    return json.dumps(copy)


def _name(response: dict[str, Any]) -> str:
    """Return a name from the problem codes, such as `InvalidCursorOrRateLimited`."""
    names = (operation_id(code) for code in response["content"][MEDIA_TYPE]["examples"])
    return "Or".join(name[0].upper() + name[1:] for name in names)
