"""Each operation as it is: its id, who may call it, what it takes, and an example of what it answers."""

from typing import Any

from order_api.idempotency import HEADER, MAX_KEY_LENGTH
from order_api.openapi.examples import PARAMETERS, SAMPLES, Shown

BEARER = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "A token of your issuer. Each operation names the scope that it needs.",
}

REQUEST_ID = {
    "name": "X-Request-Id",
    "in": "header",
    "description": "Your own name for the request: up to 128 letters, digits, `.`, `_` and `-`. Another is not used.",
    "schema": {"type": "string"},
}

KEY_PATTERN = rf'^(?!""$)[!-~](?:[ -~]{{0,{MAX_KEY_LENGTH - 2}}}[!-~])?$'
"""Every bare idempotency key, and every quoted one that fits into the same length."""


def complete_operation(operation: dict[str, Any], function: str, scope: str | None) -> None:
    """`function` is the name of the route's function, `scope` what its caller needs, if anything."""
    operation["operationId"] = operation_id(function)
    parameters = operation.setdefault("parameters", [])
    parameters.append(dict(REQUEST_ID))
    for parameter in parameters:
        _correct(parameter)
    operation.pop("security", None)
    if scope is not None:
        operation["security"] = [{"bearer": [scope]}]
        said = f"{operation['description']}\n\n" if "description" in operation else ""
        operation["description"] = f"{said}Needs the scope `{scope}`."


def complete_examples(operation: dict[str, Any]) -> None:
    samples = SAMPLES.get(operation["operationId"])
    if samples is None:
        return  # a test says which
    if samples.body:
        _show(operation["requestBody"], samples.body)
    for status, shown in samples.answers.items():
        _show(operation["responses"][status], shown)
        if samples.links:
            operation["responses"][status]["links"] = dict(samples.links)


def operation_id(function: str) -> str:
    """`place_order` is `placeOrder`."""
    first, *others = function.split("_")
    return first + "".join(word.title() for word in others)


def _show(body: dict[str, Any], shown: Shown) -> None:
    content = body.get("content", {})
    media = {"schema": shown.schema} if shown.schema else dict(content[shown.media_type])
    media["examples"] = {name: {"value": value} for name, value in shown.examples.items()}
    body["description"] = shown.says
    body["content"] = {shown.media_type: media}


def _correct(parameter: dict[str, Any]) -> None:
    """A parameter is there or not, but never null; the key of idempotency has to be there."""
    choices = [choice for choice in parameter["schema"].get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        others = {name: value for name, value in parameter["schema"].items() if name != "anyOf"}
        parameter["schema"] = {**others, **choices[0]}
    name = parameter["name"] = _spelling(parameter)
    if name == HEADER:
        parameter["required"] = True
        parameter["schema"] = {"type": "string", "pattern": KEY_PATTERN}
    for repeated in ("title", "description"):
        parameter["schema"].pop(repeated, None)
    if name in PARAMETERS:
        parameter["example"] = PARAMETERS[name]


def _spelling(parameter: dict[str, Any]) -> str:
    """Header names in their usual spelling."""
    name = str(parameter["name"])
    return "-".join(part.title() for part in name.split("-")) if parameter["in"] == "header" else name
