"""Where each feature is mounted."""

from fastapi import APIRouter

from order_api.health.views import router as health
from order_api.order.views import router as orders
from order_api.product.views import router as products

api = APIRouter()
v1 = APIRouter(prefix="/v1")
v1.include_router(orders)
v1.include_router(products)
api.include_router(v1)
api.include_router(health)
