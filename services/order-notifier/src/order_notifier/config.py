"""Settings of the notifier, in addition to those that all services share. Times are in seconds."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from order_shared.messaging.consumer.options import ConsumerOptions
from order_shared.messaging.queue import MAX_BATCH, MAX_WAIT_SECONDS
from order_shared.runtime.webhooks import WebhookSettings
from order_shared.tables import Queue, order_changes


class NotifierSettings(WebhookSettings):
    concurrency: Annotated[int, Field(ge=1, le=2000)] = 400
    """Maximum changes handled concurrently. The changes of one tenant that wait at the same time are appended
    together, up to 97 orders at a time."""
    pollers: Annotated[int, Field(ge=1, le=16)] = 4
    """Number of pollers. Each receives up to ten messages; two or more need a `concurrency` of ten per poller."""
    receive_wait_seconds: Annotated[int, Field(ge=0, le=MAX_WAIT_SECONDS)] = MAX_WAIT_SECONDS
    """Long-poll time of a receive. Shutdown waits for open polls to return."""
    visibility_seconds: Annotated[int, Field(ge=2, le=12 * 3600)] = 30
    """Visibility time-out of a received message, unless it is extended."""
    retry_cap_seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0
    """Longest pause before a failed message is handled again."""
    drain_seconds: Annotated[float, Field(gt=0, le=3600)] = 30.0
    """Time after SIGTERM to finish the messages in progress. The stop time-out of the task must be at least 15 seconds
    longer, to release the other messages and send the last traces."""
    storage_deadline_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0
    """Time limit of one call to DynamoDB, retries included."""
    webhook_places: Annotated[int, Field(ge=1, le=5000)] = 200
    """Maximum webhook endpoints served concurrently, and as many again of those that respond slowly or fail. Each gets
    up to ten requests at a time."""
    webhook_lease_seconds: Annotated[float, Field(ge=1, le=600)] = 30.0
    """Time after which another notifier takes the webhook endpoints of one that has crashed."""
    webhook_check_seconds: Annotated[float, Field(ge=1, le=3600)] = 60.0
    """Time between two checks for webhook endpoints that were not woken."""

    @staticmethod
    def queue_of(prefix: str) -> Queue:
        return order_changes(prefix).queue

    @model_validator(mode="after")
    def _check_drain_time(self) -> Self:
        if self.drain_seconds <= self.receive_wait_seconds:
            raise ValueError(
                f"ORDER_DRAIN_SECONDS: must be longer than ORDER_RECEIVE_WAIT_SECONDS, such as "
                f"{self.receive_wait_seconds + 10}"
            )
        return self

    @model_validator(mode="after")
    def _check_concurrency(self) -> Self:
        if self.pollers > 1 and self.concurrency < self.pollers * MAX_BATCH:
            raise ValueError(
                f"ORDER_CONCURRENCY: {self.pollers} pollers need at least {MAX_BATCH} each, such as "
                f"{self.pollers * MAX_BATCH}"
            )
        return self

    @property
    def consumer_options(self) -> ConsumerOptions:
        return ConsumerOptions(
            concurrency=self.concurrency,
            pollers=self.pollers,
            wait=self.receive_wait_seconds,
            visibility=self.visibility_seconds,
            retry_cap=self.retry_cap_seconds,
            drain=self.drain_seconds,
        )
