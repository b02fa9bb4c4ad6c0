"""Dependencies of views: the services, the caller's identity, and the scope and errors that a route declares.

They are plain functions and a route class, because each FastAPI dependency would cost CPU time in every request.
"""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute, iter_route_contexts

from order_api.auth import Identity, InsufficientScope, TokenVerifier
from order_api.health.lifecycle import Lifecycle
from order_api.metrics import ApiMetrics
from order_api.order.service import OrderService
from order_api.product.service import ProductService
from order_api.regions import NotHomeRegion
from order_api.schemas import V1
from order_shared.domain.errors import PlatformError
from order_shared.runtime.readiness import Readiness

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


@dataclass(frozen=True)
class Services:
    """Services that the views call. The composition root creates them."""

    orders: OrderService
    products: ProductService
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


@dataclass(frozen=True)
class Access:
    """Required scope of an endpoint, and the errors specific to it."""

    scope: str
    errors: tuple[type[PlatformError], ...] = ()

    @property
    def writes(self) -> bool:
        """Return whether the endpoint changes data."""
        return self.scope.endswith(":write")


_ACCESS: dict[Callable[..., Any], Access] = {}


def requires(scope: str, *errors: type[PlatformError]) -> Callable[[Endpoint], Endpoint]:
    """Declare an endpoint's scope and errors. Its route must be a ScopedRoute.

    Declare only errors specific to the endpoint. Errors common to every request with a token need no declaration.
    """

    def declare(endpoint: Endpoint) -> Endpoint:
        _ACCESS[endpoint] = Access(scope, errors)
        return endpoint

    return declare


class ScopedRoute(APIRoute):
    """Route that checks the scope, and the region of a write, before the request is parsed."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer, access = super().get_route_handler(), _ACCESS.get(self.endpoint)
        if access is None:
            raise TypeError(f"the route {self.path} must declare its scope with @requires")
        scope, writes = access.scope, access.writes

        async def answer_if_allowed(request: Request) -> Response:
            if scope not in identity_of(request).scopes:
                raise InsufficientScope(scope)
            if writes and (home := services_of(request).home_elsewhere):
                raise NotHomeRegion(home)
            return await answer(request)

        return answer_if_allowed


OPERATIONAL = frozenset({"/healthz", "/serving", "/readyz", "/metrics"})
"""Paths for probes and scrapers inside the network. They need no token and have no limits, so that probes of a busy
process do not fail."""
PUBLIC = OPERATIONAL | {"/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"}
"""Paths that need no token."""


def declared_access(app: FastAPI) -> Mapping[Callable[..., Any], Access]:
    """Return the access of each endpoint. Raises TypeError for a route that neither declares one nor is PUBLIC."""
    declared: dict[Callable[..., Any], Access] = {}
    for context in iter_route_contexts(app.routes):
        path, endpoint, route = context.path or "", context.endpoint, context.original_route
        is_scoped = isinstance(route, ScopedRoute)
        if path in PUBLIC and not is_scoped:
            continue
        if not is_scoped or endpoint is None or not path.startswith(f"{V1}/"):
            raise TypeError(f"the route {path} must be below {V1} and declare a scope, or be listed in PUBLIC")
        declared[endpoint] = _ACCESS[endpoint]
    return declared
