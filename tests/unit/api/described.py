"""Operations, example requests and documented responses of the OpenAPI document."""

from typing import Any

import httpx2

from order_api.main import create_app
from tests.documents import faults, resolved
from tests.unit.api.conftest import SETTINGS

DOCUMENT: dict[str, Any] = create_app(SETTINGS).openapi()
OPERATIONS: dict[str, tuple[str, str, dict[str, Any]]] = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}
PLACES = [
    (name, status)
    for name, (_, _, operation) in OPERATIONS.items()
    for status in operation["responses"]
    if status != "default"
]
BELOW_V1 = [name for name, (_, path, _) in OPERATIONS.items() if path.startswith("/v1/")]
FROM_THE_SERVER = {"content-length", "content-type"}


def operation_of(name: str) -> dict[str, Any]:
    return OPERATIONS[name][2]


def answer_of(name: str, status: str) -> dict[str, Any]:
    return dict(resolved(DOCUMENT, operation_of(name)["responses"][status]))


def media_of(part: dict[str, Any]) -> dict[str, Any]:
    (media,) = part["content"].values()
    return dict(media)


def problem_example(name: str, status: str, code: str) -> dict[str, Any]:
    return dict(media_of(answer_of(name, status))["examples"][code]["value"])


def example_request(name: str, **overrides: Any) -> httpx2.Request:
    """Return the example request of the operation, with some parameters or the body replaced."""
    method, path, operation = OPERATIONS[name]
    headers: dict[str, str] = {}
    for parameter in operation["parameters"]:
        value = overrides.get(parameter["name"], parameter.get("example"))
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", str(value))
        elif parameter["in"] == "header" and parameter.get("required") and value is not None:
            headers[parameter["name"]] = value
    body = None
    if "requestBody" in operation:
        first = next(iter(media_of(operation["requestBody"])["examples"].values()))
        body = overrides.get("body", first["value"])
    headers |= overrides.get("headers", {})
    return httpx2.Request(method, f"http://api.test{path}", json=body, headers=headers, params=overrides.get("query"))


def assert_documented(name: str, response: httpx2.Response) -> None:
    """Check that status, headers and body of a response are documented for the operation."""
    answers = operation_of(name)["responses"]
    assert str(response.status_code) in answers, (name, response.status_code, response.text)
    answer = answer_of(name, str(response.status_code))
    documented = {header.lower() for header in answer["headers"]} | FROM_THE_SERVER
    assert set(response.headers) <= documented, (name, response.status_code, set(response.headers) - documented)
    if "content" in answer:
        (media_type,) = answer["content"]
        assert response.headers["Content-Type"].startswith(media_type)
        body = response.text if media_type == "text/plain" else response.json()
        assert faults(DOCUMENT, answer["content"][media_type]["schema"], body) == [], (name, response.text)
    else:
        assert response.content == b""
