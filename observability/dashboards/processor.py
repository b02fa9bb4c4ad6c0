"""Dashboard of the processor: its messages, the outbox, and requests to AWS."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from observability.dashboards.panels import board, figure, graph


def processor() -> Dashboard:
    return board(
        "processor",
        "Orders: processor",
        "Messages, the outbox, and requests to AWS.",
        [
            (
                "Now",
                [
                    figure(
                        "Messages waiting",
                        "In the work queue, as SQS estimates them.",
                        'order:queue_messages:max{queue="work"}',
                    ),
                    figure(
                        "Dead letters",
                        "OrderDeadLetters fires at 1.",
                        'order:queue_messages:max{queue="dead"}',
                        bad_from=1,
                    ),
                    figure(
                        "Queue time, p99",
                        "From sending a message to its first delivery. OrderQueueAge fires above 5 minutes.",
                        "order:message_wait_seconds:p99_5m",
                        unit="s",
                        bad_from=300,
                    ),
                    figure(
                        "Messages in flight",
                        "Received and not yet settled.",
                        f"sum({_of_processors('order_messages_in_flight')})",
                    ),
                    figure("Parked orders", "OrderParked fires at 1.", "order:parked:max", bad_from=1),
                    figure(
                        "Time since the last outbox report",
                        "OrderNoProcessor fires after 6 minutes.",
                        "time() - max(order_outbox_report_timestamp_seconds)",
                        unit="s",
                        bad_from=360,
                    ),
                ],
            ),
            (
                "Messages",
                [
                    graph(
                        "Messages by outcome",
                        "`retried` is delivered again later. `lease_lost`: another processor may have the message.",
                        {"{{outcome}}": _rate("order_messages_total", by="outcome")},
                        unit="ops",
                    ),
                    graph(
                        "Failed handlings by reason",
                        "Each message is delivered again, or its order is resent. `crashed` is an unexpected error.",
                        {"{{reason}}": _rate("order_message_retries_total", by="reason")},
                        unit="ops",
                    ),
                    graph(
                        "Failed payment calls",
                        "`refused` is a fault of the platform, such as a wrong API key. Paid orders wait for the fix.",
                        {"{{reason}}": "sum by (reason) (rate(order_payment_failures_total[$__rate_interval]))"},
                        unit="ops",
                    ),
                    graph(
                        "Time to handle a message",
                        "Stock and payment, without the queue time.",
                        {
                            "p50": _quantile(0.5, "order_handle_seconds"),
                            "p99": _quantile(0.99, "order_handle_seconds"),
                        },
                        unit="s",
                    ),
                    graph(
                        "Messages waiting by queue",
                        "A growing backlog: processors are too few, or they fail.",
                        {"{{queue}}": "order:queue_messages:max"},
                    ),
                    graph(
                        "Messages per batch",
                        "Larger batches cost less. SQS allows at most 10.",
                        {
                            "received": _mean("order_receive_batch_messages"),
                            "sent": _mean("order_publish_batch_messages"),
                        },
                    ),
                    graph(
                        "Heartbeats",
                        "Each extends the visibility timeout of one message, so that SQS does not deliver it again.",
                        {
                            "sent": _rate("order_heartbeats_total"),
                            "failed": _rate("order_heartbeat_failures_total"),
                        },
                        unit="ops",
                    ),
                ],
            ),
            (
                "Outbox and AWS",
                [
                    graph(
                        "Resent by sweeper",
                        "A few are normal: orders that take longer than 15 seconds.",
                        {"swept": "sum(rate(order_sweeps_total[$__rate_interval]))"},
                        unit="ops",
                    ),
                    graph(
                        "Retried requests to AWS",
                        "`throttled`: docs/scale.md has the limits. `conflict`: concurrent orders of one product.",
                        {"{{service}} {{reason}}": "order:aws_retries:rate5m"},
                        unit="ops",
                    ),
                    graph(
                        "Messages that SQS did not accept",
                        "Nothing is lost: the sweeper republishes them.",
                        {"{{job}}": "sum by (job) (rate(order_publish_failures_total[$__rate_interval]))"},
                        unit="ops",
                    ),
                ],
            ),
        ],
    )


def _of_processors(metric: str) -> str:
    """Return a selector of a metric that notifiers have too."""
    return f'{metric}{{job!="order-notifier"}}'


def _rate(counter: str, by: str = "") -> str:
    labels = f"by ({by}) " if by else ""
    return f"sum {labels}(rate({_of_processors(counter)}[$__rate_interval]))"


def _quantile(share: float, histogram: str) -> str:
    buckets = _of_processors(f"{histogram}_bucket")
    return f"histogram_quantile({share}, sum by (le) (rate({buckets}[$__rate_interval])))"


def _mean(histogram: str) -> str:
    return f"{_rate(f'{histogram}_sum')} / {_rate(f'{histogram}_count')}"
