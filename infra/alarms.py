"""The alarms, as data: when each one goes to ALARM. `infra/supporting` and `infra/services` add the metrics.

CloudWatch looks at the last `periods` periods of an alarm, and `datapoints` of them must breach. Metrics arrive up to
`LATE_MINUTES` minutes after their period, and until then a period is empty, or 0 where the expression fills it. So:

- An alarm on a fault looks at `LATE_MINUTES` more than the periods that must breach: late ones do not hide the fault.
- An alarm on silence needs every period to be silent, over more than `LATE_MINUTES`: late ones are no silence.

An alarm on silence goes to INSUFFICIENT_DATA instead of ALARM, and notifies then. Nothing has reported before a first
start either: an alarm that took this for a breach would be in ALARM from its creation, and refuse the first deployments
(decision 26). `tests/infra/alarms` simulates the evaluation of every alarm.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html, and
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html.
"""

from dataclasses import dataclass
from enum import StrEnum

from order_shared.tables import IDEMPOTENCY, INVENTORY, ORDERS

MINUTE = 60
LATE_MINUTES = 4


class Missing(StrEnum):
    """How an empty period counts."""

    NOT_BREACHING = "notBreaching"
    """For metrics that are reported only when something happens."""
    INSUFFICIENT = "missing"
    """For metrics that must exist: silence is the fault, and once nothing is left the alarm is INSUFFICIENT_DATA."""


EXTRA_PERIODS = 2
"""Periods further back than N that CloudWatch looks at before it takes a metric for silent, as in its own example."""


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
    """Minutes that pass before the periods begin to count, since the metric must grow first."""

    @property
    def name(self) -> str:
        """The alarm's name without its environment, as in docs/operations.md."""
        return self.label.replace("_", "-")

    @property
    def minutes(self) -> int:
        """Minutes from the fault until the alarm is on, at most."""
        extra = EXTRA_PERIODS if self.missing is Missing.INSUFFICIENT else 0
        return self.delay_minutes + (self.periods + extra) * self.period // MINUTE


QUEUE_AGE = Alarm(
    label="queue_age",
    description="The oldest message waits for more than 300 s: too few processors, or they fail.",
    threshold=300,
    datapoints=2,
    periods=6,
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
    # A processor reports once a minute, and a bit: each period of two minutes has a report.
    label="no_processor",
    description="No processor has reported for 10 minutes: orders are accepted, and wait.",
    threshold=1,
    below=True,
    period=2 * MINUTE,
    datapoints=3,
    periods=3,
    missing=Missing.INSUFFICIENT,
)
FAILURES = Alarm(
    # Outages, throttles and conflicts are expected, and are not counted.
    label="failures",
    description="Processors fail with more than 5 messages a minute, by unexpected errors.",
    threshold=5,
    datapoints=2,
    periods=6,
)
FAILED_HANDLINGS = Alarm(
    # One period of three minutes holds all attempts at ten orders, which come at growing intervals.
    label="failed_handlings",
    description="More than 5 % of the handlings of messages fail, and at least 10 within 3 minutes.",
    threshold=5,
    period=3 * MINUTE,
    datapoints=1,
    periods=3,
)
PAYMENTS_REFUSED = Alarm(
    label="payments_refused",
    description="The payment provider refuses our requests: a wrong key, as a rule. Paid orders wait.",
    threshold=5,
    period=3 * MINUTE,
    datapoints=1,
    periods=3,
)
PARKED = Alarm(
    label="parked",
    description="An order is parked: it waits for an operator.",
    threshold=0,
    period=2 * MINUTE,
    datapoints=1,
    periods=3,
)
OLDEST_OPEN = Alarm(
    # The sweeper doubles its interval from 15 s up to 15 minutes: a shorter period could miss the order.
    label="oldest_open",
    description="An order is open for more than 15 minutes.",
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
    description="More than 1 % of the API's answers are 5xx.",
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
    # More than LATE_MINUTES by the time that a new task needs to become healthy.
    label="no_api",
    description="No task of the API is healthy: nobody can order.",
    threshold=1,
    below=True,
    datapoints=6,
    periods=6,
    missing=Missing.INSUFFICIENT,
)

API_ROLLBACK = (API_ERRORS, API_LATENCY)
"""The alarms that roll back a deployment of order-api."""
PROCESSOR_ROLLBACK = (DEAD_LETTERS, FAILED_HANDLINGS, FAILURES, PAYMENTS_REFUSED, QUEUE_AGE)
"""The alarms that roll back a deployment of order-processor. ECS itself replaces a processor that hangs or ends."""


def no_orders(quiet_minutes: int) -> Alarm:
    """Return the alarm on `quiet_minutes` without an accepted order, in periods of five minutes where they fit."""
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
    """Return the minutes until the slowest of several alarms is on: a deployment must bake for as long."""
    return max(alarm.minutes for alarm in alarms)
