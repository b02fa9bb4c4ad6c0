"""The routes of every feature."""

from collections.abc import Sequence

from starlette.routing import BaseRoute

from order_api.event.views import router as events
from order_api.health.views import router as health
from order_api.order.views import router as orders
from order_api.pages.views import local_router, reference_router
from order_api.pages.views import router as pages
from order_api.product.views import router as products
from order_api.tenant_order.views import router as tenant_orders
from order_api.webhook.views import router as webhooks

ROUTES: Sequence[BaseRoute] = [
    route for router in (orders, tenant_orders, events, webhooks, products, health, pages) for route in router.routes
]
"""Each has its full path, so every application shares them; `include_router` would build each route again."""

REFERENCE_ROUTES: Sequence[BaseRoute] = reference_router.routes
"""The reference of the API, which an installation may leave out."""

LOCAL_ROUTES: Sequence[BaseRoute] = local_router.routes
"""Routes of the local stack only."""
