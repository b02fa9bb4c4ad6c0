"""Mounts the router of each feature."""

from fastapi import FastAPI

from order_api.health.views import router as health
from order_api.order.views import router as orders
from order_api.product.views import router as products


def mount(app: FastAPI) -> None:
    """Include every router. Each carries its whole prefix, version included, so that a route knows its own path."""
    for router in (orders, products, health):
        app.include_router(router)
