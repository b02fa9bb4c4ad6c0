"""Query and response schemas of events."""

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field

from order_api.cursors import MAX_CURSOR_LENGTH
from order_api.order.schemas import OrderOut
from order_api.schemas import Instant, Limit, Query, Resource, typename
from order_api.tenant_order.schemas import TenantOrderOut
from order_shared.domain.order.events import EVENT_SOURCE, EventType, OrderEvent
from order_shared.domain.order.models import Order

LATEST = "latest"

After = Annotated[
    str | None,
    Field(
        max_length=MAX_CURSOR_LENGTH,
        description="Position after which to read: `next` of the previous response or `id` of a message of the "
        f"stream, valid for 30 days; or `{LATEST}`, the end of the feed. Without it, the feed begins with the oldest "
        "event kept.",
        examples=[LATEST],
    ),
]
Types = Annotated[
    frozenset[EventType], Field(description="Only events of this type. Repeat the parameter to allow several.")
]


class EventStreamQuery(Query):
    after: After = None
    type: Types = frozenset()


class EventQuery(EventStreamQuery):
    limit: Limit = 20


def _optional_data(schema: dict[str, Any]) -> None:
    """Describe `data` as it is written: present or left out, and never null."""
    data = schema["properties"]["data"]
    (reference,) = (each for each in data.pop("anyOf") if "$ref" in each)
    data.pop("default", None)
    data |= reference
    schema["required"] = [name for name in schema["required"] if name != "data"]


class EventOut(Resource):
    """Structured CloudEvent: one change of an order. Its `id` is the same wherever and whenever it is read."""

    model_config = ConfigDict(json_schema_extra=_optional_data)

    specversion: Literal["1.0"] = "1.0"
    id: str = Field(
        description="Order id, version of the order after the change, and the change.",
        examples=["ord_019aa5c2b1e07a1b8f3c5d7e9f012345.2.confirmed"],
    )
    source: Literal["/v1/orders"] = EVENT_SOURCE
    type: EventType
    subject: str = Field(description="Id of the order.", examples=["ord_019aa5c2b1e07a1b8f3c5d7e9f012345"])
    time: Instant = Field(description="Time of the change.")
    tenantid: str = Field(description="Your tenant.", examples=["acme"])
    datacontenttype: Literal["application/json"] = "application/json"
    data: OrderOut | None = Field(
        None,
        exclude_if=lambda order: order is None,
        description="The order as it is now: its `version` is that of the event or newer. Left out if the order can no "
        "longer be read; the other fields are always present.",
    )

    @classmethod
    def of(cls, event: OrderEvent, order: Order | None) -> Self:
        return cls(
            id=event.id,
            type=event.type,
            subject=event.order_id,
            time=event.at,
            tenantid=event.customer.tenant,
            data=None if order is None else cls._data(order),
        )

    @staticmethod
    def _data(order: Order) -> OrderOut:
        return OrderOut.of(order)


class TenantEventOut(EventOut):
    """Structured CloudEvent: one change of an order of any customer. `customer` in `data` is the order's customer."""

    data: TenantOrderOut | None = Field(
        None,
        exclude_if=lambda order: order is None,
        description="The order as it is now: its `version` is that of the event or newer. Left out if the order can no "
        "longer be read; the other fields are always present.",
    )

    @staticmethod
    def _data(order: Order) -> OrderOut:
        return TenantOrderOut.of(order)


_NEXT = "`after` of the next request. It always advances, also if no event matches: store it with what you have done."
_MORE = "Whether the feed has further events now. With `type` the next page may be empty."


class EventPage(Resource):
    typename: Literal["EventPage"] = typename("EventPage")
    items: list[EventOut]
    next: str = Field(description=_NEXT)
    has_more: bool = Field(description=_MORE)


class TenantEventPage(Resource):
    typename: Literal["TenantEventPage"] = typename("TenantEventPage")
    items: list[TenantEventOut]
    next: str = Field(description=_NEXT)
    has_more: bool = Field(description=_MORE)
