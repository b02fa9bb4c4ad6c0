"""Conversion of requests and responses in the protocols of AWS: JSON 1.1, and query by botocore's shapes.

Shapes have the type Any, because only their `type_name` shows whether they are a structure, a list or a value.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

from botocore.model import OperationModel, ServiceModel

from fake_ecs.errors import ApiError

REQUEST_ID = "00000000-0000-0000-0000-000000000000"
TRUE = "true"


def read_json(body: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(body or b"{}"))
    except ValueError as error:
        raise ApiError("SerializationException", "The body is not JSON.") from error


def write_json(answer: Mapping[str, Any]) -> bytes:
    return json.dumps(answer, default=_json_value).encode()


def _json_value(value: object) -> object:
    if isinstance(value, datetime):
        return value.timestamp()
    raise TypeError(f"{type(value)} is not JSON")


def json_error(error: ApiError) -> bytes:
    return json.dumps({"__type": error.code, "message": error.message}).encode()


def read_query(fields: Mapping[str, str], shape: Any) -> dict[str, Any]:
    """Return the members of a request in the form `Actions.member.1.Type=forward`."""
    if shape is None:
        return {}
    return {
        name: _read(fields, member, name)
        for name, member in shape.members.items()
        if any(key == name or key.startswith(f"{name}.") for key in fields)
    }


def _read(fields: Mapping[str, str], shape: Any, prefix: str) -> Any:
    match shape.type_name:
        case "structure":
            start = f"{prefix}."
            inner = {key.removeprefix(start): each for key, each in fields.items() if key.startswith(start)}
            return read_query(inner, shape)
        case "list":
            numbers = {
                int(key.removeprefix(f"{prefix}.member.").partition(".")[0])
                for key in fields
                if key.startswith(f"{prefix}.member.")
            }
            return [_read(fields, shape.member, f"{prefix}.member.{number}") for number in sorted(numbers)]
        case "integer" | "long":
            return int(fields[prefix])
        case "double" | "float":
            return float(fields[prefix])
        case "boolean":
            return fields[prefix] == TRUE
        case _:
            return fields[prefix]


def form(body: bytes) -> dict[str, str]:
    return dict(parse_qsl(body.decode(), keep_blank_values=True))


def write_query(answer: Mapping[str, Any], operation: OperationModel) -> bytes:
    root = ET.Element(f"{operation.name}Response", xmlns=operation.service_model.metadata["xmlNamespace"])
    shape = operation.output_shape
    if shape is not None:
        _write(root, shape.serialization.get("resultWrapper", f"{operation.name}Result"), answer, shape)
    metadata = ET.SubElement(root, "ResponseMetadata")
    ET.SubElement(metadata, "RequestId").text = REQUEST_ID
    return bytes(ET.tostring(root))


def _write(parent: ET.Element, name: str, value: Any, shape: Any) -> None:
    element = ET.SubElement(parent, name)
    match shape.type_name:
        case "structure":
            for key, each in value.items():
                _write(element, key, each, shape.members[key])
        case "list":
            for each in value:
                _write(element, "member", each, shape.member)
        case "boolean":
            element.text = TRUE if value else "false"
        case "timestamp":
            element.text = value.astimezone(UTC).isoformat()
        case _:
            element.text = str(value)


def query_error(error: ApiError, service: ServiceModel) -> bytes:
    root = ET.Element("ErrorResponse", xmlns=service.metadata["xmlNamespace"])
    inner = ET.SubElement(root, "Error")
    ET.SubElement(inner, "Type").text = "Sender"
    ET.SubElement(inner, "Code").text = error.code
    ET.SubElement(inner, "Message").text = error.message
    ET.SubElement(root, "RequestId").text = REQUEST_ID
    return bytes(ET.tostring(root))
