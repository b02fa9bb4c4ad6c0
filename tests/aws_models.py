"""Check requests to AWS with botocore's models: its validator accepts them, and its serializer makes the same bytes."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, cast

import botocore.session
from botocore.model import OperationModel, Shape
from botocore.serialize import create_serializer
from botocore.validate import ParamValidator

from aws_json_client import Answer, Transport
from order_shared.aws.connect import Connect


class CheckedTransport:
    """Checks each payload before it is sent."""

    def __init__(self, transport: Transport) -> None:
        self.name = transport.name
        self._transport = transport

    async def call(self, operation: str, payload: Mapping[str, Any]) -> Answer:
        check(self.name, operation, payload)
        return await self._transport.call(operation, payload)


def checked(connect: Connect) -> Connect:
    """Return the client with each of its payloads checked."""

    @asynccontextmanager
    async def opened(*arguments: Any, **options: Any) -> AsyncIterator[Transport]:
        async with connect(*arguments, **options) as transport:
            yield CheckedTransport(transport)

    return opened


def check(service: str, operation: str, payload: Mapping[str, Any]) -> None:
    """Raise AssertionError if botocore would refuse the payload, or send another one."""
    model = _operation(service, operation)
    report = ParamValidator().validate(payload, cast("Shape", model.input_shape))
    assert not report.has_errors(), f"{service}.{operation}: {report.generate_report()}"
    sent = create_serializer("json", include_validation=False).serialize_to_request(dict(payload), model)
    assert json.loads(sent["body"]) == payload, f"{service}.{operation} is sent otherwise by botocore"
    assert sent["headers"]["X-Amz-Target"].endswith(f".{operation}")


@cache
def _operation(service: str, operation: str) -> OperationModel:
    return _session().get_service_model(service).operation_model(operation)


@cache
def _session() -> botocore.session.Session:
    return botocore.session.Session()
