"""Dependencies of views: the services, the caller's identity, and the scope and errors that a route declares.

`Order-Customer` names the customer for whom a caller acts. Every route with a scope honours or refuses it.

They are plain functions and a route class, because each FastAPI dependency would cost CPU time in every request.
"""

import re
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast, get_origin

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel
from starlette.datastructures import Headers, QueryParams

from order_api.auth import Identity, InsufficientScope, TokenVerifier
from order_api.event.service import EventService
from order_api.event.stream import EventStreams
from order_api.health.lifecycle import Lifecycle
from order_api.metrics import ApiMetrics
from order_api.order.service import OrderService
from order_api.product.service import ProductService
from order_api.reader import Fault, InvalidRequest, read_json, read_query
from order_api.regions import NotHomeRegion
from order_api.schemas import V1
from order_api.sentences import EXAMPLES, RULES, faults_of
from order_api.tenant_order.service import TenantOrderService
from order_api.webhook.delivery_service import DeliveryService
from order_api.webhook.service import WebhookService
from order_shared.domain.errors import PlatformError
from order_shared.runtime.readiness import Readiness

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

CUSTOMER_HEADER = "Order-Customer"
CUSTOMER_PATTERN = r"^[!-~](?:[ -~]{0,253}[!-~])?$"
"""Subjects that a header can contain: without control characters, and without blanks at their ends."""


@dataclass(frozen=True)
class Services:
    """Services that the views call. The composition root creates them."""

    orders: OrderService
    tenant_orders: TenantOrderService
    events: EventService
    event_streams: EventStreams
    products: ProductService
    webhooks: WebhookService | None
    webhook_deliveries: DeliveryService | None
    """None if this environment sends no webhooks."""
    tokens: TokenVerifier
    readiness: Readiness
    lifecycle: Lifecycle
    metrics: ApiMetrics
    home_elsewhere: str | None
    """Home region, which takes all writes; None if this region is the home region."""


def services_of(request: Request) -> Services:
    return cast("Services", request.app.state.services)


def identity_of(request: Request) -> Identity:
    """Return the caller's identity, which the middleware has verified."""
    return cast("Identity", request.scope["state"]["identity"])


def _act_for_named_customer(request: Request) -> None:
    """Replace the identity by the one that acts for the customer in Order-Customer, if the request has this header.

    Raises InsufficientScope, and InvalidRequest for a header that is repeated or not a subject.
    """
    named = [value for name, value in request.scope["headers"] if name == b"order-customer"]
    if not named:
        return
    text = named[0].decode("latin-1").strip(" \t")
    acting = identity_of(request).acting_for(text)
    if len(named) > 1 or not re.fullmatch(CUSTOMER_PATTERN, text):
        header = CUSTOMER_HEADER.lower()
        raise InvalidRequest([Fault(pointer=f"header:{header}", code="invalid_customer", detail=RULES[header])])
    request.scope["state"]["identity"] = acting


@dataclass(frozen=True)
class Access:
    """Required scope of an endpoint, and the errors specific to it."""

    scope: str
    errors: tuple[type[PlatformError], ...] = ()
    reads: bool = False
    """True for an endpoint that changes nothing although its scope allows changes."""

    @property
    def writes(self) -> bool:
        """Return whether the endpoint changes data."""
        return self.scope.endswith(":write") and not self.reads


_ACCESS: dict[Callable[..., Any], Access] = {}


def requires(scope: str, *errors: type[PlatformError], reads: bool = False) -> Callable[[Endpoint], Endpoint]:
    """Declare an endpoint's scope and errors. Its route must be a ScopedRoute.

    Declare only errors specific to the endpoint. Errors common to every request with a token need no declaration.
    With `reads`, the endpoint changes nothing although its scope allows changes.
    """

    def declare(endpoint: Endpoint) -> Endpoint:
        _ACCESS[endpoint] = Access(scope, errors, reads)
        return endpoint

    return declare


class _ReadRequest(Request):
    """Request whose query and body have been read by `order_api.reader`, so that the framework parses neither again.

    It has no Content-Type, because the reader has checked it: the framework would parse it again.
    """

    parameters = QueryParams()
    document: Any = None

    def __init__(self, request: Request) -> None:
        super().__init__(request.scope, request.receive)
        self._others = Headers(raw=[each for each in request.scope["headers"] if each[0] != b"content-type"])

    @property
    def headers(self) -> Headers:
        return self._others

    @property
    def query_params(self) -> QueryParams:
        return self.parameters

    async def json(self) -> Any:
        return self.document


class ScopedRoute(APIRoute):
    """Route that checks the scope, and the region of a write, before the request is read.

    Every fault of the body, the query and the headers becomes an InvalidRequest.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options | {"strict_content_type": False})  # the reader checks the media type

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer, access = super().get_route_handler(), _ACCESS.get(self.endpoint)
        if access is None:
            raise TypeError(f"the route {self.path} must declare its scope with @requires")
        scope, writes = access.scope, access.writes
        models = self._models()
        repeatable = _repeatable(models.get("query"))
        example = EXAMPLES[models["body"].__name__] if "body" in models else None

        async def answer_if_allowed(request: Request) -> Response:
            if scope not in identity_of(request).scopes:
                raise InsufficientScope(scope)
            _act_for_named_customer(request)
            if writes and (home := services_of(request).home_elsewhere):
                raise NotHomeRegion(home)
            read = _ReadRequest(request)
            if query := request.scope["query_string"]:
                read.parameters = QueryParams(read_query(query, repeatable))
            if example is not None:
                read.document = read_json(request.scope["headers"], await read.body(), example)
                request.scope["state"]["document"] = read.document
            try:
                return await answer(read)
            except RequestValidationError as error:
                raise InvalidRequest(faults_of(error.errors(), models)) from error

        return answer_if_allowed

    def _models(self) -> Mapping[str, type[BaseModel]]:
        """Return the models of the body and of the query, where the endpoint has them."""
        fields = {"body": self.body_field, "query": next(iter(self.dependant.query_params), None)}
        models = {where: field.field_info.annotation for where, field in fields.items() if field is not None}
        return cast("Mapping[str, type[BaseModel]]", models)


def _repeatable(query: type[BaseModel] | None) -> frozenset[str]:
    """Return the names of the parameters that may occur several times: those with a collection of values."""
    fields = query.model_fields.items() if query else ()
    return frozenset(
        field.alias or name for name, field in fields if get_origin(field.annotation) in {list, set, frozenset}
    )


OPERATIONAL = frozenset({"/healthz", "/serving", "/readyz", "/metrics"})
"""Paths for probes and scrapers inside the network. They need no token and have no limits, so that probes of a busy
process do not fail."""
PAGES = "/pages/"
"""Path prefix of the web pages, which need no token."""
PUBLIC = OPERATIONAL | {"/openapi.json", "/docs"}
"""Other paths that need no token."""


def declared_access(app: FastAPI) -> Mapping[Callable[..., Any], Access]:
    """Return the access of each endpoint. Raises TypeError for a route that neither declares one nor is PUBLIC."""
    declared: dict[Callable[..., Any], Access] = {}
    for context in iter_route_contexts(app.routes):
        path, endpoint, route = context.path or "", context.endpoint, context.original_route
        is_scoped = isinstance(route, ScopedRoute)
        if (path in PUBLIC or path.startswith(PAGES)) and not is_scoped:
            continue
        if not is_scoped or endpoint is None or not path.startswith(f"{V1}/"):
            raise TypeError(f"the route {path} must be below {V1} and declare a scope, or be public")
        declared[endpoint] = _ACCESS[endpoint]
    return declared
