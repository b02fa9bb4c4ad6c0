"""What views work with: the services, who asks, which scope each route asks for, and where it may write.

None of it is a dependency of the framework's: each of those costs a request as much as two signatures.
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
from order_shared.runtime.readiness import Readiness

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


@dataclass(frozen=True)
class Services:
    """All that the views call, made by the composition root."""

    orders: OrderService
    products: ProductService
    tokens: TokenVerifier
    readiness: Readiness
    lifecycle: Lifecycle
    metrics: ApiMetrics
    home_elsewhere: str | None
    """The region that writes, if it is not this one."""


def services_of(request: Request) -> Services:
    return cast("Services", request.app.state.services)


def identity_of(request: Request) -> Identity:
    """Whom the middleware found to ask."""
    return cast("Identity", request.scope["state"]["identity"])


_SCOPES: dict[Callable[..., Any], str] = {}


def requires(scope: str) -> Callable[[Endpoint], Endpoint]:
    """Says the scope that an endpoint's caller needs; its route is a ScopedRoute."""

    def note(endpoint: Endpoint) -> Endpoint:
        _SCOPES[endpoint] = scope
        return endpoint

    return note


def is_write(scope: str) -> bool:
    """Whether what asks for this scope changes anything."""
    return scope.endswith(":write")


class ScopedRoute(APIRoute):
    """Asks for the scope of its endpoint, and to write for the home region, before anything of the request is read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer, scope = super().get_route_handler(), _SCOPES.get(self.endpoint)
        if scope is None:
            raise TypeError(f"{self.path} must say which scope it requires")
        writes = is_write(scope)

        async def answer_if_allowed(request: Request) -> Response:
            if scope not in identity_of(request).scopes:
                raise InsufficientScope(scope)
            if writes and (home := services_of(request).home_elsewhere):
                raise NotHomeRegion(home)
            return await answer(request)

        return answer_if_allowed


OPERATIONAL = frozenset({"/healthz", "/serving", "/readyz", "/metrics"})
"""For probes and scrapers inside the network: no token, and no limit that would make a busy process look dead."""
PUBLIC = OPERATIONAL | {"/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"}
"""Every path that asks for no token."""


def required_scopes(app: FastAPI) -> Mapping[Callable[..., Any], str]:
    """The scope of each endpoint. Raises TypeError for a route that neither asks for one nor stands in PUBLIC."""
    required: dict[Callable[..., Any], str] = {}
    for context in iter_route_contexts(app.routes):
        path, endpoint, route = context.path or "", context.endpoint, context.original_route
        is_scoped = isinstance(route, ScopedRoute)
        if path in PUBLIC and not is_scoped:
            continue
        if not is_scoped or endpoint is None or not path.startswith(f"{V1}/"):
            raise TypeError(f"{path} must stand below {V1} and ask for a scope, or be public")
        required[endpoint] = _SCOPES[endpoint]
    return required
