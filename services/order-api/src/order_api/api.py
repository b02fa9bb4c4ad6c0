"""Mount the router of each feature."""

from fastapi import FastAPI

from order_api.health.views import router as health
from order_api.order.views import router as orders
from order_api.pages.views import router as pages
from order_api.product.views import router as products


def mount(app: FastAPI) -> None:
    """Include every router. A router's prefix includes the version, so that each route has its full path."""
    for router in (orders, products, health, pages):
        app.include_router(router)
