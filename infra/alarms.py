"""Alarms as data: the conditions for ALARM. `infra/supporting` and `infra/services` add the metrics.

CloudWatch evaluates the last `periods` periods of an alarm, and `datapoints` of them must breach. Metrics arrive up to
`LATE_MINUTES` minutes after their period, and until then a period is empty, or 0 where the expression fills it. So:

- An alarm on a fault evaluates `LATE_MINUTES` more than the periods that must breach: late metrics hide no fault.
- An alarm on silence needs every period to be silent, over more than `LATE_MINUTES`: late metrics are no silence.

An alarm on silence goes to INSUFFICIENT_DATA instead of ALARM, and notifies then. Before the
first start nothing has reported either: an alarm that counted this as a breach would be in ALARM from its creation and
block the first deployments (decision 26). `tests/infra/alarms` simulates the evaluation of every alarm.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html, and
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html.
"""

from dataclasses import dataclass
from enum import StrEnum

from order_shared.tables import IDEMPOTENCY, INVENTORY, ORDERS

MINUTE = 60
LATE_MINUTES = 4


class Missing(StrEnum):
    """Treatment of an empty period."""

    NOT_BREACHING = "notBreaching"
    """For metrics that are reported only when something happens."""
    INSUFFICIENT = "missing"
    """For metrics that must exist: silence is the fault, which puts the alarm into INSUFFICIENT_DATA."""


EXTRA_PERIODS = 2
"""Periods beyond N that CloudWatch evaluates before it treats a metric as missing, as in AWS's own example."""


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """One CloudWatch alarm: ALARM while `datapoints` of the last `periods` breach `threshold`."""

    label: str
    description: str
    threshold: float
    below: bool = False
    """Breach below the threshold, not above it."""
    period: int = MINUTE
    """Seconds."""
    datapoints: int
    """M of N."""
    periods: int
    """N."""
    missing: Missing = Missing.NOT_BREACHING
    delay_minutes: int = 0
    """Minutes until the first period can breach, since the metric must grow first."""

    @property
    def name(self) -> str:
        """Name of the alarm without its environment, as in docs/operations.md."""
        return self.label.replace("_", "-")

    @property
    def minutes(self) -> int:
        """Maximum minutes from the fault to ALARM."""
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
    # A processor reports a little less than once a minute: each period of two minutes has a report.
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
THROTTLES = {
    # One alarm per table: an alarm takes 10 metrics and expressions, and each index is one of them.
    table.name: Alarm(
        label=f"throttles_{table.name}",
        description=f"DynamoDB throttles the table {table.name}: orders are late, or refused before acknowledgement.",
        threshold=50,
        period=3 * MINUTE,
        datapoints=1,
        periods=3,
    )
    for table in (ORDERS, INVENTORY, IDEMPOTENCY)
}
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
    # Longer than LATE_MINUTES and the time in which a new task becomes healthy.
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


def no_orders(quiet_minutes: int) -> Alarm:
    """Return the alarm on `quiet_minutes` without an accepted order, in periods of five minutes if they divide it."""
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
    """Return the maximum minutes until one of the alarms is in ALARM: a deployment must bake for as long."""
    return max(alarm.minutes for alarm in alarms)
