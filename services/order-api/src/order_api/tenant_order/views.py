"""Routes of the orders of a tenant."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from order_api.cursors import InvalidCursor
from order_api.dependencies import ScopedRoute, identity_of, requires, services_of
from order_api.order.exceptions import UnsupportedSort
from order_api.schemas import V1
from order_api.tenant_order.schemas import TenantOrderOut, TenantOrderPage, TenantOrderQuery
from order_api.tenant_order.service import TenantListing

router = APIRouter(prefix=f"{V1}/tenant/orders", tags=["tenant"], route_class=ScopedRoute)


@router.get("", summary="List the orders of all your tenant's customers, newest first")
@requires("orders:admin", InvalidCursor, UnsupportedSort)
async def list_tenant_orders(query: Annotated[TenantOrderQuery, Query()], request: Request) -> TenantOrderPage:
    """List and search the orders of every customer of your tenant. All filters can be combined.

    The number of orders examined per page is limited, so with filters a page may have fewer than `limit` orders, or
    none, while `has_more` is true: continue with `next_cursor` until it is null. A cursor is valid only for the same
    tenant, filters and sort. The list is eventually consistent: a new order, or a new status under a filter by
    `status`, may be missing for a moment. No order is listed that does not match when it is read.
    """
    listing = TenantListing(
        tenant=identity_of(request).customer.tenant,
        start=query.created_at_gte,
        end=query.created_at_lt,
        statuses=query.status,
        customer=query.customer,
        reference=query.reference,
        sort=query.sort,
    )
    page = await services_of(request).tenant_orders.list_orders(listing, limit=query.limit, cursor=query.cursor)
    return TenantOrderPage(
        items=[TenantOrderOut.of(order) for order in page.items],
        next_cursor=page.next_cursor,
        has_more=page.next_cursor is not None,
    )
