"""How processors get on with their messages, and with what they need for it."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from observability.dashboards.panels import board, figure, graph


def processor() -> Dashboard:
    return board(
        "processor",
        "Orders: processor",
        "How processors get on with their messages, and with what they need for it.",
        [
            (
                "Now",
                [
                    figure(
                        "Messages that wait",
                        "In the work queue, as SQS says.",
                        'order:queue_messages:max{queue="work"}',
                    ),
                    figure(
                        "Dead letters",
                        "OrderDeadLetters fires at one.",
                        'order:queue_messages:max{queue="dead"}',
                        bad_from=1,
                    ),
                    figure(
                        "Waited, p99",
                        "From sent to first received. OrderQueueAge fires above five minutes.",
                        "order:message_wait_seconds:p99_5m",
                        unit="s",
                        bad_from=300,
                    ),
                    figure("Messages in hand", "Taken and not yet done with.", "sum(order_messages_in_flight)"),
                    figure("Parked orders", "OrderParked fires at one.", "order:parked:max", bad_from=1),
                    figure(
                        "Last look at the outbox",
                        "OrderNoProcessor fires after six minutes.",
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
                        "By what became of them",
                        "Retried comes again after a while; lease_lost is somebody else's by now.",
                        {"{{outcome}}": "sum by (outcome) (rate(order_messages_total[$__rate_interval]))"},
                        unit="ops",
                    ),
                    graph(
                        "That are to come again",
                        "By the error; `crashed` is one that nobody foresaw.",
                        {"{{reason}}": "sum by (reason) (rate(order_message_retries_total[$__rate_interval]))"},
                        unit="ops",
                    ),
                    graph(
                        "Payment calls that settled nothing",
                        "`refused` is a fault of ours, such as a wrong API key; paid orders wait meanwhile.",
                        {"{{reason}}": "sum by (reason) (rate(order_payment_failures_total[$__rate_interval]))"},
                        unit="ops",
                    ),
                    graph(
                        "What handling one takes",
                        "Stock and payment, without the wait.",
                        {
                            "p50": _quantile(0.5, "order_handle_seconds"),
                            "p99": _quantile(0.99, "order_handle_seconds"),
                        },
                        unit="s",
                    ),
                    graph(
                        "That wait",
                        "A backlog that grows: too few processors, or they fail.",
                        {"{{queue}}": "order:queue_messages:max"},
                    ),
                    graph(
                        "To a batch",
                        "The larger, the cheaper; ten is SQS's most.",
                        {
                            "received": _mean("order_receive_batch_messages"),
                            "sent": _mean("order_publish_batch_messages"),
                        },
                    ),
                    graph(
                        "Heartbeats",
                        "Each keeps one message longer. Without them it is given to somebody else.",
                        {
                            "sent": "sum(rate(order_heartbeats_total[$__rate_interval]))",
                            "failed": "sum(rate(order_heartbeat_failures_total[$__rate_interval]))",
                        },
                        unit="ops",
                    ),
                ],
            ),
            (
                "Outbox and AWS",
                [
                    graph(
                        "Said again by a sweep",
                        "Some, always: an order that takes longer than a quarter of a minute.",
                        {"swept": "sum(rate(order_sweeps_total[$__rate_interval]))"},
                        unit="ops",
                    ),
                    graph(
                        "Requests to AWS sent again",
                        "Throttled: which limit, see docs/scale.md. Conflict: orders that meet at one product.",
                        {"{{service}} {{reason}}": "order:aws_retries:rate5m"},
                        unit="ops",
                    ),
                    graph(
                        "Messages that SQS did not take",
                        "Nothing is lost: the sweeper sends them.",
                        {"{{job}}": "sum by (job) (rate(order_publish_failures_total[$__rate_interval]))"},
                        unit="ops",
                    ),
                ],
            ),
        ],
    )


def _quantile(share: float, histogram: str) -> str:
    return f"histogram_quantile({share}, sum by (le) (rate({histogram}_bucket[$__rate_interval])))"


def _mean(histogram: str) -> str:
    return f"sum(rate({histogram}_sum[$__rate_interval])) / sum(rate({histogram}_count[$__rate_interval]))"
