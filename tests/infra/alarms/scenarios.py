"""What the services and AWS report in an hour: quiet or busy, undisturbed or with one fault.

A scenario names its series `<metric>` or `<metric>/<which>`: a fleet, a queue, a table or an index.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate, repeat

from tests.infra.alarms.evaluation import Samples

MINUTES = 75
BEGIN = 25
"""The minute at which the fault, the deployment, the scale-in or the first start begins."""

REPORT_SECONDS = 62.5
"""From one report of a processor to the next: a minute, and half a sweep's interval."""

Series = Callable[[int], Samples]
"""The samples of a minute."""


@dataclass(frozen=True)
class Scenario:
    """The series that report something; the others report nothing."""

    name: str
    series: Mapping[str, Series] = field(default_factory=dict)

    def samples(self, name: str, minute: int) -> Samples:
        series = self.series.get(name)
        return series(minute) if series is not None and minute >= 0 else ()

    @property
    def has_green(self) -> bool:
        """Whether a second fleet takes part."""
        return any(name.endswith("/green") for name in self.series)

    def but(self, name: str, **changes: Series) -> "Scenario":
        """Return the scenario with other series; `__` stands for the slash of a series' name."""
        return Scenario(name, {**self.series, **{key.replace("__", "/"): value for key, value in changes.items()}})


def always(*samples: float) -> Series:
    return lambda _: samples


def until(minute: int, series: Series) -> Series:
    """Report nothing from a minute on."""
    return lambda now: series(now) if now < minute else ()


def since(minute: int, after: Series, before: Series | None = None) -> Series:
    """Report one series before a minute, or nothing, and another from it on."""

    def samples(now: int) -> Samples:
        if now >= minute:
            return after(now)
        return before(now) if before is not None else ()

    return samples


def reports(value: float, processors: int = 1, offset: float = 0.0) -> Series:
    """Report a value once in `REPORT_SECONDS` by each processor: some minutes have no report of a given one."""
    count = int(MINUTES * 60 / REPORT_SECONDS)
    minutes = [int(second // 60) for second in accumulate(repeat(REPORT_SECONDS, count), initial=offset)]
    return lambda now: (value,) * (minutes.count(now) * processors)


def processors(count: int, *, handled: float = 0.0) -> dict[str, Series]:
    """Return what processors report in their log lines."""
    return {
        "OldestOpenSeconds": reports(5.0, count),
        "OrdersParked": reports(0.0, count),
        "Handlings": always(*[handled / count] * count),
        "FailedHandlings": always(*[0.0] * count),
        "PaymentsRefused": always(*[0.0] * count),
    }


def notifiers(count: int, *, handled: float = 0.0) -> dict[str, Series]:
    """Return what notifiers report in their log lines."""
    return {
        "ChangesHandled": reports(handled / count, count),
        "FailedChanges": reports(0.0, count),
    }


NORMAL = Scenario(
    "a normal day",
    {
        **processors(4, handled=3000.0),
        **notifiers(2, handled=6000.0),
        "ApproximateAgeOfOldestMessage/changes": always(2.0),
        "ApproximateNumberOfMessagesVisible/changes_dead": always(0.0),
        "Invocations": always(600.0),
        "ExecutionFailed": always(0.0),
        "ApproximateAgeOfOldestMessage/work": always(2.0),
        "ApproximateNumberOfMessagesNotVisible/work": always(200.0),
        "ApproximateNumberOfMessagesVisible/dead": always(0.0),
        "AcceptMilliseconds": always(*[20.0] * 50),
        "RequestCount/blue": always(3000.0),
        "HealthyHostCount/blue": always(4.0),
        "CPUUtilization": always(*[30.0] * 4),
    },
)
QUIET_NIGHT = Scenario(
    "a quiet night",
    {
        **processors(1),
        **notifiers(1),
        "ApproximateAgeOfOldestMessage/changes": always(0.0),
        "ApproximateNumberOfMessagesVisible/changes_dead": always(0.0),
        # The pipe passes on the change of each order a minute later, and reports nothing otherwise.
        "Invocations": lambda minute: () if minute % 15 != 1 else (2.0,),
        "ApproximateAgeOfOldestMessage/work": always(0.0),
        "ApproximateNumberOfMessagesNotVisible/work": always(0.0),
        "ApproximateNumberOfMessagesVisible/dead": always(0.0),
        # One order in a quarter of an hour; the provider does not answer the one at BEGIN for some minutes.
        "AcceptMilliseconds": lambda minute: () if minute % 15 else (25.0,),
        "Handlings": lambda minute: (0.0,) if minute % 15 else (1.0,),
        "FailedHandlings": lambda minute: ({BEGIN: 7.0, BEGIN + 1: 1.0, BEGIN + 3: 1.0}.get(minute, 0.0),),
        "RequestCount/blue": lambda minute: () if minute % 15 else (3.0,),
        "HTTPCode_Target_5XX_Count/blue": lambda minute: (1.0,) if minute == BEGIN else (),
        "HealthyHostCount/blue": always(1.0),
        "CPUUtilization": always(2.0),
    },
)
SCALE_IN = NORMAL.but(
    "a scale-in",
    OldestOpenSeconds=since(BEGIN, reports(5.0), reports(5.0, 4)),
    OrdersParked=since(BEGIN, reports(0.0), reports(0.0, 4)),
    ChangesHandled=since(BEGIN, reports(3000.0), reports(3000.0, 2)),
    HealthyHostCount__blue=since(BEGIN, always(1.0), always(4.0)),
    CPUUtilization=since(BEGIN, always(40.0), always(*[30.0] * 4)),
)
DEPLOYMENT = NORMAL.but(
    "a deployment",
    # Green becomes healthy, takes the traffic, and blue ends; processors are replaced one by one.
    HealthyHostCount__green=since(BEGIN + 1, always(4.0), lambda minute: (0.0,) if minute == BEGIN else ()),
    HealthyHostCount__blue=until(BEGIN + 12, always(4.0)),
    RequestCount__blue=until(BEGIN + 3, always(3000.0)),
    RequestCount__green=since(BEGIN + 3, always(3000.0)),
    OldestOpenSeconds=since(BEGIN, reports(5.0, offset=40.0), reports(5.0, 4)),
    OrdersParked=since(BEGIN, reports(0.0, offset=40.0), reports(0.0, 4)),
)
FIRST_START = Scenario(
    "a first start",
    {
        **{name: since(BEGIN + 1, series) for name, series in NORMAL.series.items()},
        "ApproximateAgeOfOldestMessage/work": always(0.0),
        "ApproximateNumberOfMessagesNotVisible/work": always(0.0),
        "ApproximateNumberOfMessagesVisible/dead": always(0.0),
        "ApproximateAgeOfOldestMessage/changes": always(0.0),
        "ApproximateNumberOfMessagesVisible/changes_dead": always(0.0),
        # The tasks run, and are healthy a moment later.
        "CPUUtilization": since(BEGIN, always(30.0, 30.0)),
        "HealthyHostCount/blue": since(BEGIN + 1, always(2.0), lambda minute: (0.0,) if minute == BEGIN else ()),
    },
)
ROLLING_DEPLOYMENT = NORMAL.but(
    "a rolling deployment",
    ChangesHandled=since(BEGIN, reports(3000.0, offset=40.0), reports(3000.0, 2)),
    OldestOpenSeconds=DEPLOYMENT.series["OldestOpenSeconds"],
    OrdersParked=DEPLOYMENT.series["OrdersParked"],
)
UNDISTURBED = (NORMAL, QUIET_NIGHT, SCALE_IN, DEPLOYMENT, ROLLING_DEPLOYMENT, FIRST_START)


def fault(name: str, **changes: Series) -> Scenario:
    """Return a normal day on which some series change at `BEGIN`."""
    after = {key: since(BEGIN, series, NORMAL.series.get(key.replace("__", "/"))) for key, series in changes.items()}
    return NORMAL.but(name, **after)


FAULTS: Mapping[str, tuple[Scenario, ...]] = {
    "queue_age": (
        fault("no message is taken", ApproximateAgeOfOldestMessage__work=lambda minute: (60.0 * (minute - BEGIN + 1),)),
    ),
    "in_flight": (fault("messages are postponed", ApproximateNumberOfMessagesNotVisible__work=always(70_000.0)),),
    "dead_letters": (fault("one dead letter", ApproximateNumberOfMessagesVisible__dead=always(1.0)),),
    "no_processor": (fault("processors end", OldestOpenSeconds=always(), OrdersParked=always()),),
    "failures": (fault("ten unexpected errors a minute", FailedMessages=always(*[1.0] * 10)),),
    "failed_handlings": (
        fault("the provider does not answer", FailedHandlings=always(*[75.0] * 4)),
        fault("eight failures a minute on a slow day", Handlings=always(20.0), FailedHandlings=always(8.0)),
    ),
    "payments_refused": (fault("three refusals a minute", PaymentsRefused=always(3.0)),),
    "parked": (fault("one parked order", OrdersParked=reports(1.0, 4)),),
    "oldest_open": (
        # A look finds the order, makes it wait for a quarter of an hour, and the next looks do not see it.
        fault(
            "an old order that is seen every quarter of an hour",
            OldestOpenSeconds=lambda minute: (1000.0,) if minute % 15 == BEGIN % 15 else (5.0,),
        ),
    ),
    "throttles_orders": (fault("an index is throttled", WriteThrottleEvents__orders__open_orders=always(20.0)),),
    "throttles_inventory": (fault("reads are throttled", ReadThrottleEvents__inventory=always(20.0)),),
    "throttles_idempotency": (fault("writes are throttled", WriteThrottleEvents__idempotency=always(20.0)),),
    "throttles_events": (fault("the head of a log is throttled", WriteThrottleEvents__events=always(20.0)),),
    "throttles_webhooks": (
        fault("leases of endpoints are throttled", WriteThrottleEvents__webhooks=always(20.0)),
        fault("the index of due endpoints is throttled", WriteThrottleEvents__webhooks__due_endpoints=always(20.0)),
    ),
    "notifier_queue_age": (
        fault(
            "no change is taken",
            ApproximateAgeOfOldestMessage__changes=lambda minute: (60.0 * (minute - BEGIN + 1),),
        ),
    ),
    "notifier_dead_letters": (
        fault("one change that cannot be handled", ApproximateNumberOfMessagesVisible__changes_dead=always(1.0)),
    ),
    "notifier_failures": (
        fault("one change in ten fails", ChangesHandled=reports(100.0, 2), FailedChanges=reports(10.0, 2)),
    ),
    "no_notifier": (fault("notifiers end", ChangesHandled=always(), FailedChanges=always()),),
    "change_feed": (
        fault("the pipe is stopped", Invocations=always(), ExecutionFailed=always()),
        fault("the pipe fails every time", Invocations=always(20.0), ExecutionFailed=always(20.0)),
        fault("the pipe fails every time and counts no invocations", Invocations=always(), ExecutionFailed=always(9.0)),
    ),
    "api_errors": (
        fault("5 % of the answers are 5xx", HTTPCode_Target_5XX_Count__blue=always(150.0)),
        fault(
            "green answers with 5xx",
            RequestCount__blue=always(),
            RequestCount__green=always(3000.0),
            HTTPCode_Target_5XX_Count__green=always(150.0),
        ),
    ),
    "api_latency": (fault("4 % of the orders are slow", AcceptMilliseconds=always(*[20.0] * 48, *[2000.0] * 2)),),
    "no_api": (
        fault("tasks run and are not healthy", HealthyHostCount__blue=always(0.0)),
        fault("tasks end", HealthyHostCount__blue=always(), CPUUtilization=always()),
    ),
    "no_orders": (fault("nobody orders", AcceptMilliseconds=always()),),
}
"""By the label of an alarm in `infra/alarms.py`: the faults that it is for."""
