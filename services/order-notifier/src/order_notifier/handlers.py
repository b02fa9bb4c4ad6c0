"""Handle one message of the change feed."""

from structlog.contextvars import bind_contextvars

from order_notifier.appender import Appender
from order_notifier.changes import UnreadableChange, parse_change
from order_shared.messaging.delivery import Delivery, Handler, Unprocessable


def make_handler(appender: Appender) -> Handler:
    async def handle(delivery: Delivery) -> None:
        try:
            change = parse_change(delivery.message.body)
        except UnreadableChange as error:
            raise Unprocessable("not_a_change", str(error)) from error
        bind_contextvars(tenant=change.customer.tenant)  # each message is handled in a separate task
        await appender.append(change)

    return handle
