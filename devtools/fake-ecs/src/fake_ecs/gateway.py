"""One door for all the APIs here: finds the operation, checks the request, and checks the answer before it goes out."""

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
"""The service in the scope of a request's signature: all that a query request says of it."""

Handler = Callable[[dict[str, Any]], dict[str, Any]]


class Api(Protocol):
    """The part of a service that is served: `put_image` is the operation PutImage."""

    @property
    def name(self) -> str:
        """botocore's."""
        ...

    @property
    def lock(self) -> RLock: ...


@dataclass(frozen=True)
class Answer:
    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    """Besides those of the body."""


class Gateway:
    def __init__(self, apis: Sequence[Api], models: Mapping[str, ServiceModel], faults: Faults) -> None:
        """`models` by the APIs' names."""
        self._apis = {api.name: api for api in apis}
        self._models = models
        self._faults = faults
        self._handlers = {(api.name, name): handler for api in apis for name, handler in handlers(api, models).items()}
        self._by_prefix = {models[api.name].metadata.get("targetPrefix"): api.name for api in apis}
        self._by_scope = {models[api.name].signing_name: api.name for api in apis}

    def answer(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Raises AnswerInvalid if the fake is about to say what AWS cannot."""
        target = headers.get("X-Amz-Target")
        if target is not None:
            return self._answer_json(target, body)
        return self._answer_query(headers.get("Authorization", ""), body)

    def _answer_json(self, target: str, body: bytes) -> Answer:
        try:
            prefix, _, name = target.partition(".")
            operation = self._operation(self._by_prefix.get(prefix), name)
            return Answer(200, JSON_TYPE, wire.write_json(self._call(operation, wire.read_json(body))))
        except ApiError as error:
            return Answer(error.status, JSON_TYPE, wire.json_error(error))

    def _answer_query(self, authorization: str, body: bytes) -> Answer:
        scope = SIGNED_FOR.search(authorization)
        service = self._by_scope.get(scope.group(1)) if scope else None
        if service is None:
            return Answer(404, JSON_TYPE, wire.json_error(_unknown("service", authorization)))
        fields = wire.form(body)
        try:
            operation = self._operation(service, fields.pop("Action", ""))
            answer = self._call(operation, wire.read_query(fields, operation.input_shape))
            return Answer(200, XML_TYPE, wire.write_query(answer, operation))
        except ApiError as error:
            return Answer(error.status, XML_TYPE, wire.query_error(error, self._models[service]))

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
            return answer


def handlers(api: Api, models: Mapping[str, ServiceModel]) -> dict[str, Handler]:
    """Return the API's methods by the names of the operations that they serve."""
    methods = {name: getattr(api, xform_name(name), None) for name in models[api.name].operation_names}
    return {name: method for name, method in methods.items() if method is not None}


def _unknown(what: str, name: str) -> ApiError:
    return ApiError("UnknownOperationException", f"The fake knows no {what} {name!r}.")
