"""Every dependency of the views, named once, and which scope each route asks for."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, cast

from fastapi import Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from fastapi.security import HTTPBearer

from order_api.auth import Identity, InsufficientScope, TokenVerifier
from order_api.metrics import ApiMetrics
from order_api.order.service import OrderService
from order_api.product.service import ProductService
from order_api.schemas import V1
from order_shared.health import Readiness


@dataclass(frozen=True)
class Services:
    """All that the views call, made by the composition root."""

    orders: OrderService
    products: ProductService
    tokens: TokenVerifier
    readiness: Readiness
    metrics: ApiMetrics


async def _services(request: Request) -> Services:
    return cast("Services", request.app.state.services)


ServicesDep = Annotated[Services, Depends(_services)]


async def _orders(services: ServicesDep) -> OrderService:
    return services.orders


async def _products(services: ServicesDep) -> ProductService:
    return services.products


async def _readiness(services: ServicesDep) -> Readiness:
    return services.readiness


async def _metrics(services: ServicesDep) -> ApiMetrics:
    return services.metrics


_documented = HTTPBearer(auto_error=False, bearerFormat="JWT", description="A token of the configured issuer.")


async def _identity(request: Request, _: Annotated[object, Depends(_documented)]) -> Identity:
    """Who the middleware found to ask."""
    return cast("Identity", request.state.identity)


@dataclass(frozen=True)
class RequiredScope:
    """The dependency by which a route says its scope; `required_scopes` finds it there."""

    scope: str

    def check(self, identity: Identity) -> None:
        if self.scope not in identity.scopes:
            raise InsufficientScope(self.scope)

    async def __call__(self, identity: Annotated[Identity, Depends(_identity)]) -> Identity:
        self.check(identity)
        return identity


OrderReader = Annotated[Identity, Depends(RequiredScope("orders:read"))]
OrderWriter = Annotated[Identity, Depends(RequiredScope("orders:write"))]
ProductReader = Annotated[Identity, Depends(RequiredScope("products:read"))]
ProductWriter = Annotated[Identity, Depends(RequiredScope("products:write"))]

OrderServiceDep = Annotated[OrderService, Depends(_orders)]
ProductServiceDep = Annotated[ProductService, Depends(_products)]
ReadinessDep = Annotated[Readiness, Depends(_readiness)]
MetricsDep = Annotated[ApiMetrics, Depends(_metrics)]

OPERATIONAL = frozenset({"/healthz", "/readyz", "/metrics"})
"""For probes and scrapers inside the network: no token, and no limit that would make a busy process look dead."""
PUBLIC = OPERATIONAL | {"/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"}
"""Every path that asks for no token."""


def required_scopes(app: FastAPI) -> Mapping[Callable[..., Any], RequiredScope]:
    """The scope of each endpoint. Raises TypeError for a route that neither says one nor stands in PUBLIC."""
    required: dict[Callable[..., Any], RequiredScope] = {}
    for route in iter_route_contexts(app.routes):
        path, endpoint, dependant = route.path or "", route.endpoint, getattr(route, "dependant", None)
        scopes = set(_scopes_in(dependant)) if dependant else set()
        if path in PUBLIC and not scopes:
            continue
        if len(scopes) != 1 or endpoint is None or not path.startswith(f"{V1}/"):
            raise TypeError(f"{path} must stand below {V1} and ask for one scope, or be public")
        required[endpoint] = scopes.pop()
    return required


def _scopes_in(dependant: Dependant) -> Iterator[RequiredScope]:
    if isinstance(dependant.call, RequiredScope):
        yield dependant.call
    for inner in dependant.dependencies:
        yield from _scopes_in(inner)
