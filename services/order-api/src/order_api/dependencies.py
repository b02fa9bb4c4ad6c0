"""Every dependency of the views, named once."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from order_api.auth import Identity, InsufficientScope, TokenVerifier
from order_api.metrics import ApiMetrics
from order_api.order.service import OrderService
from order_api.product.service import ProductService
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


def _with_scope(scope: str) -> Callable[..., Awaitable[Identity]]:
    async def check(identity: Annotated[Identity, Depends(_identity)]) -> Identity:
        if scope not in identity.scopes:
            raise InsufficientScope(scope)
        return identity

    return check


OrderReader = Annotated[Identity, Depends(_with_scope("orders:read"))]
OrderWriter = Annotated[Identity, Depends(_with_scope("orders:write"))]
ProductReader = Annotated[Identity, Depends(_with_scope("products:read"))]
ProductWriter = Annotated[Identity, Depends(_with_scope("products:write"))]

OrderServiceDep = Annotated[OrderService, Depends(_orders)]
ProductServiceDep = Annotated[ProductService, Depends(_products)]
ReadinessDep = Annotated[Readiness, Depends(_readiness)]
MetricsDep = Annotated[ApiMetrics, Depends(_metrics)]
