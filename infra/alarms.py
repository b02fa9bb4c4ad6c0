"""Alarms as data: the conditions for ALARM. `infra/supporting` and `infra/services` add the metrics.

CloudWatch evaluates the last `periods` periods of an alarm, and `datapoints` of them must breach. Metrics arrive up to
`LATE_MINUTES` minutes after their period. Until then a period is empty, or 0 if the expression fills it. Therefore:

- An alarm on a fault evaluates at least `LATE_MINUTES` more minutes than must breach, so that late metrics cannot hide
  the fault.
- An alarm on silence requires that all periods breach, over more than `LATE_MINUTES`, so that late metrics alone do
  not trigger it.

If its metric is missing, an alarm on silence goes to INSUFFICIENT_DATA instead of ALARM, and notifies of that. The
reason: before its first start, a service has reported nothing. If missing data counted as a breach, the alarm would be
in ALARM from its creation and block the first deployments (decision 26). `tests/infra/alarms` simulates every alarm.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html, and
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html.
"""

from dataclasses import dataclass
from enum import StrEnum

from order_shared.tables import EVENTS, IDEMPOTENCY, INVENTORY, ORDERS, WEBHOOKS

MINUTE = 60
LATE_MINUTES = 4


class Missing(StrEnum):
    """Treatment of a period without data."""

    NOT_BREACHING = "notBreaching"
    """For metrics that are reported only when something happens."""
    INSUFFICIENT = "missing"
    """For metrics that must always be reported: without data, the alarm goes to INSUFFICIENT_DATA."""


EXTRA_PERIODS = 2
"""Periods beyond N that CloudWatch evaluates before it treats a metric as missing, as in AWS's own example."""


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """CloudWatch alarm, in ALARM while `datapoints` of the last `periods` periods breach `threshold`."""

    label: str
    description: str
    threshold: float
    below: bool = False
    """True if values below the threshold breach it; False if values above it do."""
    period: int = MINUTE
    """Length of a period in seconds."""
    datapoints: int
    """Number of periods that must breach: M in CloudWatch's "M out of N"."""
    periods: int
    """Number of periods that are evaluated: N in CloudWatch's "M out of N"."""
    missing: Missing = Missing.NOT_BREACHING
    delay_minutes: int = 0
    """Minutes from the fault until a period can breach, for a metric that grows gradually."""

    @property
    def name(self) -> str:
        """Name of the alarm without its environment, as in docs/operations.md."""
        return self.label.replace("_", "-")

    @property
    def minutes(self) -> int:
        """Maximum number of minutes from the fault to the alarm."""
        extra = EXTRA_PERIODS if self.missing is Missing.INSUFFICIENT else 0
        return self.delay_minutes + (self.periods + extra) * self.period // MINUTE


QUEUE_AGE = Alarm(
    label="queue_age",
    description="The oldest message has waited for more than 300 s: too few processors, or they fail.",
    threshold=300,
    datapoints=2,
    periods=6,
    delay_minutes=5,
)
IN_FLIGHT = Alarm(
    label="in_flight",
    description="More than 60000 messages are in flight: half of the queue's quota, at which polls return nothing.",
    threshold=60_000,
    datapoints=1,
    periods=5,
    delay_minutes=5,
)
DEAD_LETTERS = Alarm(
    label="dead_letters",
    description="There are dead letters: messages that no version of the processor can read.",
    threshold=0,
    datapoints=1,
    periods=5,
)
NO_PROCESSOR = Alarm(
    # A processor reports slightly less often than once a minute, so each period of two minutes has a report.
    label="no_processor",
    description="No processor has reported for 10 minutes: orders are accepted, but not processed.",
    threshold=1,
    below=True,
    period=2 * MINUTE,
    datapoints=3,
    periods=3,
    missing=Missing.INSUFFICIENT,
)
FAILURES = Alarm(
    # Outages, throttles and conflicts are expected, so they are not counted.
    label="failures",
    description="Processors fail to handle more than 5 messages a minute, with unexpected errors.",
    threshold=5,
    datapoints=2,
    periods=6,
)
FAILED_HANDLINGS = Alarm(
    # One period of three minutes holds all attempts at ten orders, whose intervals grow.
    label="failed_handlings",
    description="More than 5 % of the message handlings fail, and at least 10 within 3 minutes.",
    threshold=5,
    period=3 * MINUTE,
    datapoints=1,
    periods=3,
)
PAYMENTS_REFUSED = Alarm(
    label="payments_refused",
    description="The payment provider refuses our requests, usually for a wrong key. Paid orders are not processed.",
    threshold=5,
    period=3 * MINUTE,
    datapoints=1,
    periods=3,
)
PARKED = Alarm(
    label="parked",
    description="An order is parked: an operator must retry or reject it.",
    threshold=0,
    period=2 * MINUTE,
    datapoints=1,
    periods=3,
)
OLDEST_OPEN = Alarm(
    # The sweeper doubles its interval from 15 s up to 15 minutes: a shorter period could miss the order.
    label="oldest_open",
    description="An order has been open for more than 15 minutes.",
    threshold=900,
    period=15 * MINUTE,
    datapoints=1,
    periods=2,
)
_OF_ORDERS = "orders are late, or refused before acknowledgement"
_THROTTLED = {
    **dict.fromkeys((ORDERS, INVENTORY, IDEMPOTENCY), _OF_ORDERS),
    EVENTS: "events are late",
    WEBHOOKS: "webhooks are late",
}
THROTTLES = {
    # One alarm per table, because an alarm can have at most 10 metrics and expressions, and each index needs one.
    table.name: Alarm(
        label=f"throttles_{table.name}",
        description=f"DynamoDB throttles the table {table.name}: {effect}.",
        threshold=50,
        period=3 * MINUTE,
        datapoints=1,
        periods=3,
    )
    for table, effect in _THROTTLED.items()
}
NOTIFIER_QUEUE_AGE = Alarm(
    label="notifier_queue_age",
    description="The oldest change of an order has waited for more than 300 s: its events are late.",
    threshold=300,
    datapoints=2,
    periods=6,
    delay_minutes=5,
)
NOTIFIER_DEAD_LETTERS = Alarm(
    label="notifier_dead_letters",
    description="The notifier cannot handle some changes of orders: the events of these orders may be missing.",
    threshold=0,
    datapoints=1,
    periods=5,
)
NOTIFIER_FAILURES = Alarm(
    label="notifier_failures",
    description="More than 5 % of the notifier's handlings fail, and at least 10 within 3 minutes.",
    threshold=5,
    period=3 * MINUTE,
    datapoints=1,
    periods=3,
)
NO_NOTIFIER = Alarm(
    # As with processors, a notifier reports slightly less often than once a minute.
    label="no_notifier",
    description="No notifier has reported for 10 minutes: no event is appended to the logs.",
    threshold=1,
    below=True,
    period=2 * MINUTE,
    datapoints=3,
    periods=3,
    missing=Missing.INSUFFICIENT,
)
CHANGE_FEED = Alarm(
    # A change may reach the topic a period later than its order is counted, so both periods must breach. A period
    # without an order has no data point. The stream keeps a change for 24 hours.
    label="change_feed",
    description="Orders are accepted, but the pipe has passed on no change for 30 minutes: events will be lost.",
    threshold=1,
    below=True,
    period=15 * MINUTE,
    datapoints=2,
    periods=2,
)
API_ERRORS = Alarm(
    label="api_errors",
    description="More than 1 % of the API's responses are 5xx.",
    threshold=1,
    datapoints=2,
    periods=6,
)
API_LATENCY = Alarm(
    label="api_latency",
    description="One order in a hundred takes more than 1000 ms to be accepted.",
    threshold=1000,
    datapoints=3,
    periods=7,
)
NO_API = Alarm(
    # Six minutes are longer than LATE_MINUTES, and than a new task needs to become healthy.
    label="no_api",
    description="No task of the API is healthy: no order can be placed.",
    threshold=1,
    below=True,
    datapoints=6,
    periods=6,
    missing=Missing.INSUFFICIENT,
)

API_ROLLBACK = (API_ERRORS, API_LATENCY)
"""Alarms that roll back a deployment of order-api."""
PROCESSOR_ROLLBACK = (DEAD_LETTERS, FAILED_HANDLINGS, FAILURES, PAYMENTS_REFUSED, QUEUE_AGE)
"""Alarms that roll back a deployment of order-processor. ECS itself replaces a processor that hangs or exits."""
NOTIFIER_ROLLBACK = (NOTIFIER_DEAD_LETTERS, NOTIFIER_FAILURES, NOTIFIER_QUEUE_AGE)
"""Alarms that roll back a deployment of order-notifier."""


def no_orders(quiet_minutes: int) -> Alarm:
    """Return the alarm on `quiet_minutes` without an accepted order.

    Its periods are five minutes long if that divides `quiet_minutes`, otherwise one minute.
    """
    period = 5 * MINUTE if quiet_minutes % 5 == 0 else MINUTE
    periods = quiet_minutes * MINUTE // period
    return Alarm(
        label="no_orders",
        description=f"No order was accepted for {quiet_minutes} minutes.",
        threshold=1,
        below=True,
        period=period,
        datapoints=periods,
        periods=periods,
        missing=Missing.INSUFFICIENT,
    )


def slowest_minutes(alarms: tuple[Alarm, ...]) -> int:
    """Return the minutes that the slowest of the alarms needs. A deployment must bake for at least as long."""
    return max(alarm.minutes for alarm in alarms)
