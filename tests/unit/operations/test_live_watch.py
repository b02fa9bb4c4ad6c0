"""Figures of snapshots: rates, failed sources, and their substitutes."""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from order_api.metrics import ApiMetrics
from order_operations.live.exposition import Sample
from order_operations.live.outbox import Outbox
from order_operations.live.queues import Depth
from order_operations.live.sources import Down, Look, Stored
from order_operations.live.tasks import API, PROCESSOR, Task
from order_operations.live.view import Quantiles, View
from order_operations.live.watch import HISTORY, Watch
from order_processor.metrics import ProcessorMetrics
from order_shared.storage.orders import OpenOrder
from tests.factories import NOON, make_order

ONE, OTHER, WORKER = (
    Task(service=API, address="http://a"),
    Task(service=API, address="http://b"),
    Task(service=PROCESSOR, address="http://c"),
)
LOST = Down(fault="ConnectError", detail="nobody listens")
IDLE = Depth(visible=0, in_flight=0, dead_letters=0)
EMPTY = Stored(Outbox(swept=[], parked=[], capped=False), [])


def said(at: float, *lines: str) -> Sample:
    """Return a sample of counters and gauges, as a task exports them."""
    text = [f"# TYPE {line.split('{')[0].split()[0]} {'counter' if '_total' in line else 'gauge'}" for line in lines]
    return Sample.parse("\n".join([each for pair in zip(text, lines, strict=True) for each in pair] + [""]), at)


def look(
    tasks: Mapping[Task, Sample | Down] | None = None,
    *,
    second: float = 0.0,
    queues: Depth | Down = IDLE,
    stored: Stored | Down = EMPTY,
) -> Look:
    return Look(NOON + timedelta(seconds=second), tasks or {}, queues, stored)


def seen(*looks: Look) -> View:
    """Return the view of the last snapshot."""
    watch = Watch("here")
    return [watch.see(each) for each in looks][-1]


def accepted(at: float, number: int) -> Sample:
    return said(at, f"order_accepted_total {number}")


def test_the_first_snapshot_has_no_rates() -> None:
    view = seen(look({ONE: accepted(0.0, 70)}))
    assert (view.per_second.accepted, view.history, view.history_seconds) == (None, [], 0.0)


def test_rates_cover_the_time_between_two_snapshots_over_all_tasks() -> None:
    view = seen(
        look({ONE: accepted(0.0, 10), OTHER: accepted(0.0, 20)}),
        look({ONE: accepted(2.0, 14), OTHER: accepted(2.0, 22)}, second=2),
    )
    assert (view.per_second.accepted, view.history, view.history_seconds) == (3.0, [3.0], 2.0)


def test_a_task_that_recovers_is_compared_with_its_last_response() -> None:
    view = seen(
        look({ONE: accepted(0.0, 10)}),
        look({ONE: LOST}, second=2),
        look({ONE: accepted(4.0, 18)}, second=4),
    )
    assert view.per_second.accepted == 2.0


def test_a_new_task_is_counted_from_its_second_snapshot_on() -> None:
    both = look({ONE: accepted(2.0, 12), OTHER: accepted(2.0, 1000)}, second=2)
    assert seen(look({ONE: accepted(0.0, 10)}), both).per_second.accepted == 1.0


def test_history_keeps_the_newest() -> None:
    looks = [look({ONE: accepted(float(second), second**2)}, second=second) for second in range(HISTORY + 10)]
    view = seen(*looks)
    assert len(view.history) == view.history_seconds == HISTORY
    assert view.history == sorted(view.history)


def test_health_checks_do_not_count_as_requests() -> None:
    def requests(at: float, number: int) -> Sample:
        return said(
            at,
            f'order_http_requests_total{{route="/v1/orders",method="POST",status="202"}} {number}',
            f'order_http_requests_total{{route="/v1/orders",method="GET",status="503"}} {number}',
            f'order_http_requests_total{{route="/serving",method="GET",status="503"}} {100 * number}',
            f'order_http_requests_total{{route="/readyz",method="GET",status="503"}} {100 * number}',
            f'order_http_requests_total{{route="/metrics",method="GET",status="200"}} {100 * number}',
        )

    rates = seen(look({ONE: requests(0.0, 0)}), look({ONE: requests(1.0, 3)}, second=1)).per_second
    assert (rates.requests, rates.errors_5xx) == (6.0, 3.0)


def test_a_failed_source_is_named_and_the_others_are_shown() -> None:
    view = seen(
        look(
            {ONE: said(0.0, 'order_build_info{version="1.4.2"} 1'), OTHER: LOST},
            queues=Down(fault="AccessDenied", detail="not you"),
            stored=Down(fault="StorageUnavailable", detail="time-out"),
        )
    )
    api, processor, notifier, sqs, dynamodb = view.sources
    assert (api.name, api.up, api.of, api.versions, api.fault) == (API, 1, 2, ["1.4.2"], "ConnectError")
    assert (processor.name, processor.up, processor.of, processor.fault) == (PROCESSOR, 0, 0, None)
    assert (notifier.name, notifier.up, notifier.of) == ("order-notifier", 0, 0)
    assert (sqs.up, sqs.fault, sqs.detail) == (0, "AccessDenied", "not you")
    assert (dynamodb.up, dynamodb.fault, dynamodb.detail) == (0, "StorageUnavailable", "time-out")
    assert view.queue == Depth()
    assert view.last_orders == []


def test_without_storage_the_largest_figure_of_the_processors_is_shown() -> None:
    def parked(number: int) -> Sample:
        return said(0.0, f"order_parked {number}", "order_open_oldest_seconds 30")

    tasks = {WORKER: parked(2), Task(service=PROCESSOR, address="http://d"): parked(3)}
    orders = seen(look(tasks, stored=Down(fault="StorageUnavailable", detail=""))).open_orders
    assert (orders.count, orders.parked, orders.oldest_seconds) == (None, 3, 30.0)


def test_open_orders_are_those_in_storage() -> None:
    def entry(seconds: int) -> OpenOrder:
        return OpenOrder(
            customer_key="acme#ada", created_at=NOON - timedelta(seconds=seconds), open_shard="1", due_at=0, sweeps=0
        )

    stored = Stored(Outbox(swept=[entry(5), entry(90)], parked=[entry(9000)], capped=True), [])
    orders = seen(look({WORKER: said(0.0, "order_parked 7")}, stored=stored)).open_orders
    assert (orders.count, orders.capped, orders.oldest_seconds, orders.parked) == (2, True, 90.0, 1)


def test_an_order_is_shown_without_its_customer() -> None:
    order = make_order(at=NOON).park(NOON, "overdue")
    view = seen(look(second=-1.0, stored=Stored(EMPTY.outbox, [order])))  # our clock is behind
    (line,) = view.to_json()["last_orders"]
    assert line == {
        "id": order.order_id,
        "tenant": "acme",
        "status": "pending",
        "parked": True,
        "total": 1180,
        "currency": "EUR",
        "age_seconds": 0.0,
    }


@pytest.fixture
def services() -> tuple[ApiMetrics, ProcessorMetrics]:
    api, processor = ApiMetrics(), ProcessorMetrics()
    api.name_build(API, "5d6e7f8")
    processor.name_build(PROCESSOR, "5d6e7f8")
    return api, processor


def test_the_services_export_every_metric_that_is_shown(services: tuple[ApiMetrics, ProcessorMetrics]) -> None:
    def both(at: float) -> Look:
        one, worker = (Sample.parse(each.exposition().decode(), at) for each in services)
        return look({ONE: one, WORKER: worker}, second=at)

    api, processor = services
    before = both(0.0)
    api.accepted.inc()
    api.accept_seconds.observe(0.004)
    processor.order_ended(make_order(at=NOON).confirm(NOON), NOON)
    processor.consumer.wait_seconds.observe(0.005)
    view = seen(before, both(1.0))
    rates, latency = view.per_second, view.latency
    assert rates.ended == {"cancelled": 0.0, "confirmed": 1.0, "rejected": 0.0}
    assert (rates.accepted, rates.requests, rates.errors_5xx, rates.aws_retries) == (1.0, 0.0, 0.0, 0.0)
    assert Quantiles(p50=None, p99=None) not in (latency.accept, latency.end, latency.queued)
    assert [len(source.versions) for source in view.sources] == [1, 1, 0, 0, 0]
