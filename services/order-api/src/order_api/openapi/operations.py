"""Complete each operation: id, required scope, corrected parameters, and examples of its bodies."""

from typing import Any

from order_api.auth import ACT_SCOPE
from order_api.dependencies import CUSTOMER_HEADER, CUSTOMER_PATTERN
from order_api.idempotency import HEADER, MAX_KEY_LENGTH
from order_api.openapi.examples import PARAMETERS, SAMPLES
from order_api.openapi.samples import BodyExamples

SECURITY_SCHEMES: dict[str, Any] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "Access token of your issuer. Each operation states its required scope.",
    },
    "openIdConnect": {
        "type": "openIdConnect",
        "openIdConnectUrl": "https://issuer.example.com/.well-known/openid-configuration",
        "description": "The same access token, for tools that find the issuer's endpoints. Use your issuer's address.",
    },
}

REQUEST_ID = {
    "name": "X-Request-Id",
    "in": "header",
    "description": "Your id for the request: up to 128 letters, digits, `.`, `_` and `-`. An invalid id is replaced.",
    "schema": {"type": "string"},
}

CUSTOMER = {
    "name": CUSTOMER_HEADER,
    "in": "header",
    "description": f"Subject of the customer of your tenant for whom you act. It needs the scope `{ACT_SCOPE}` too. "
    "Without this header you act for yourself.",
    "schema": {"type": "string", "pattern": CUSTOMER_PATTERN},
}

_LONGEST = MAX_KEY_LENGTH - 2
KEY_PATTERN = rf'^(?:[!-~]|[!#-~][ -~]{{0,{_LONGEST}}}[!-~]|"[!#-~]|"[ -~]{{1,{_LONGEST}}}[!-~])$'
"""Pattern of idempotency keys: every unquoted key, and every quoted key of the same maximum length, except `""`."""


def complete_operation(operation: dict[str, Any], function: str, scope: str | None) -> None:
    """Set id, parameters and security. `function` is the name of the route's function, `scope` its required scope."""
    operation["operationId"] = operation_id(function)
    parameters = operation.setdefault("parameters", [])
    parameters += [dict(CUSTOMER)] if scope is not None else []
    parameters.append(dict(REQUEST_ID))
    for parameter in parameters:
        _correct(parameter)
    operation["security"] = [] if scope is None else [{name: [scope]} for name in SECURITY_SCHEMES]
    if scope is not None:
        prose = f"{operation['description']}\n\n" if "description" in operation else ""
        operation["description"] = f"{prose}Requires the scope `{scope}`."


def complete_examples(operation: dict[str, Any]) -> None:
    samples = SAMPLES.get(operation["operationId"])
    if samples is None:
        return  # a test fails for an operation without samples
    if samples.body:
        _add_examples(operation["requestBody"], samples.body)
    for status, examples in samples.responses.items():
        _add_examples(operation["responses"][status], examples)
        if samples.links:
            operation["responses"][status]["links"] = dict(samples.links)


def operation_id(function: str) -> str:
    """Return the operation id: `placeOrder` for `place_order`."""
    first, *others = function.split("_")
    return first + "".join(word.title() for word in others)


def _add_examples(body: dict[str, Any], examples: BodyExamples) -> None:
    content = body.get("content", {})
    media = {"schema": examples.schema} if examples.schema else dict(content[examples.media_type])
    media["examples"] = {name: {"value": value} for name, value in examples.examples.items()}
    body["description"] = examples.description
    body["content"] = {examples.media_type: media}


def _correct(parameter: dict[str, Any]) -> None:
    """Correct the schema of a parameter: it is never null, and `Idempotency-Key` is required."""
    choices = [choice for choice in parameter["schema"].get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        others = {name: value for name, value in parameter["schema"].items() if name != "anyOf"}
        parameter["schema"] = {**others, **choices[0]}
    name = parameter["name"] = _spelling(parameter)
    if parameter["in"] == "header" and parameter["schema"].get("type") == "array":
        parameter["schema"] = {"type": "string", **parameter["schema"]["items"]}  # a list in one header, as in HTTP
    if name == HEADER:
        parameter["required"] = True
        parameter["schema"] = {"type": "string", "pattern": KEY_PATTERN}
    for repeated in ("title", "description"):
        parameter["schema"].pop(repeated, None)
    if name in PARAMETERS:
        parameter["example"] = PARAMETERS[name]


def _spelling(parameter: dict[str, Any]) -> str:
    """Return the name of the parameter. The name of a header gets its canonical spelling."""
    name = str(parameter["name"])
    return "-".join(part.title() for part in name.split("-")) if parameter["in"] == "header" else name
