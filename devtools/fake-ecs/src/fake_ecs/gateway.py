"""Gateway to all APIs of the fake. It validates each request, calls the operation and validates the response."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, Protocol

from botocore import xform_name
from botocore.model import OperationModel, ServiceModel

from fake_ecs import shapes, wire
from fake_ecs.errors import ApiError
from fake_ecs.faults import Faults

JSON_TYPE = "application/x-amz-json-1.1"
XML_TYPE = "text/xml"
SIGNED_FOR = re.compile(r"Credential=[^/]+/[^/]+/[^/]+/([^/]+)/aws4_request")
"""Pattern of the service in the credential scope of a signature. A query request names its service only there."""

Handler = Callable[[dict[str, Any]], dict[str, Any]]


class Api(Protocol):
    """Operations of one service. The method `put_image` implements the operation PutImage."""

    @property
    def name(self) -> str:
        """Name of the service in botocore."""
        ...

    @property
    def lock(self) -> RLock: ...


@dataclass(frozen=True)
class Response:
    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers in addition to Content-Type and Content-Length."""


class AnswerLost(Exception):
    """Injected fault: the call was carried out, but its caller gets no response."""


class Gateway:
    def __init__(self, apis: Sequence[Api], models: Mapping[str, ServiceModel], faults: Faults) -> None:
        """Create a gateway. `models` maps the name of each API to botocore's model of the service."""
        self._apis = {api.name: api for api in apis}
        self._models = models
        self._faults = faults
        self._handlers = {(api.name, name): handler for api in apis for name, handler in handlers(api, models).items()}
        self._by_prefix = {models[api.name].metadata.get("targetPrefix"): api.name for api in apis}
        self._by_scope = {models[api.name].signing_name: api.name for api in apis}

    def answer(self, headers: Mapping[str, str], body: bytes) -> Response:
        """Return the response to a request.

        Raises:
            AnswerLost: if the connection is to be closed without a response.
            InvalidResponse: if the response does not match botocore's model.
        """
        target = headers.get("X-Amz-Target")
        if target is not None:
            return self._answer_json(target, body)
        return self._answer_query(headers.get("Authorization", ""), body)

    def _answer_json(self, target: str, body: bytes) -> Response:
        try:
            prefix, _, name = target.partition(".")
            operation = self._operation(self._by_prefix.get(prefix), name)
            return Response(200, JSON_TYPE, wire.write_json(self._call(operation, wire.read_json(body))))
        except ApiError as error:
            return Response(error.status, JSON_TYPE, wire.json_error(error))

    def _answer_query(self, authorization: str, body: bytes) -> Response:
        scope = SIGNED_FOR.search(authorization)
        service = self._by_scope.get(scope.group(1)) if scope else None
        if service is None:
            return Response(404, JSON_TYPE, wire.json_error(_unknown("service", authorization)))
        fields = wire.form(body)
        try:
            operation = self._operation(service, fields.pop("Action", ""))
            answer = self._call(operation, wire.read_query(fields, operation.input_shape))
            return Response(200, XML_TYPE, wire.write_query(answer, operation))
        except ApiError as error:
            return Response(error.status, XML_TYPE, wire.query_error(error, self._models[service]))

    def _operation(self, service: str | None, name: str) -> OperationModel:
        if service is None:
            raise _unknown("service", name)
        if (service, name) not in self._handlers:
            raise _unknown("operation", name)
        return self._models[service].operation_model(name)

    def _call(self, operation: OperationModel, request: dict[str, Any]) -> dict[str, Any]:
        api = self._apis[operation.service_model.service_name]
        if wrong := shapes.problems(request, operation.input_shape):
            raise ApiError("InvalidParameterException", "; ".join(wrong))
        with api.lock:
            self._faults.refuse(operation.name)
            answer = self._handlers[api.name, operation.name](request)
            shapes.ensure_valid(operation.name, answer, operation.output_shape)
            if not self._faults.is_answered(operation.name):
                raise AnswerLost
            return answer


def handlers(api: Api, models: Mapping[str, ServiceModel]) -> dict[str, Handler]:
    """Return the methods of an API by operation name."""
    methods = {name: getattr(api, xform_name(name), None) for name in models[api.name].operation_names}
    return {name: method for name, method in methods.items() if method is not None}


def _unknown(what: str, name: str) -> ApiError:
    return ApiError("UnknownOperationException", f"The fake does not support the {what} {name!r}.")
