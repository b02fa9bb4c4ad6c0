"""What must hold, whatever runs: each accepted order comes to its end, and somebody is at work on it until then."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from observability.dashboards.panels import board, figure, graph


def invariants() -> Dashboard:
    return board(
        "invariants",
        "Orders: what must hold",
        "Each accepted order comes to its end, and somebody is at work on it until then.",
        [
            (
                "Now",
                [
                    figure(
                        "Oldest open order",
                        "Accepted, and without an end. OrderOldestOpen fires above a quarter of an hour.",
                        "order:open_oldest_seconds:max16m",
                        unit="s",
                        bad_from=900,
                    ),
                    figure(
                        "Oldest unsent order",
                        "SQS does not take its message. OrderOldestUnsent fires above five minutes.",
                        "order:unsent_oldest_seconds:max5m",
                        unit="s",
                        bad_from=300,
                    ),
                    figure("Parked orders", "Each waits for an operator.", "order:parked:max", bad_from=1),
                    figure(
                        "Dead letters",
                        "What no version of the processor can read.",
                        'order:queue_messages:max{queue="dead"}',
                        bad_from=1,
                    ),
                    figure(
                        "Orders in five minutes",
                        "OrderNoOrders fires after half an hour without one, if a week ago there were ten.",
                        "sum(increase(order_accepted_total[5m]))",
                    ),
                    figure(
                        "Alerts",
                        "Those that fire; Prometheus lists them.",
                        'count(ALERTS{alertstate="firing"}) or vector(0)',
                        bad_from=1,
                    ),
                ],
            ),
            (
                "Over time",
                [
                    graph(
                        "Accepted, and come to an end",
                        "By the hour. The ends follow; one that is cancelled after its confirmation has two.",
                        {
                            "accepted": "sum(increase(order_accepted_total[1h]))",
                            "ended": "sum(increase(order_ended_total[1h]))",
                        },
                    ),
                    graph(
                        "How orders end",
                        "Shares of the hour's ends. Many rejections: no stock, or a payment provider that declines.",
                        {
                            "{{status}}": "sum by (status) (increase(order_ended_total[1h]))"
                            " / on () group_left () sum(increase(order_ended_total[1h]))"
                        },
                        unit="percentunit",
                    ),
                    graph(
                        "Alerts that fire",
                        "docs/operations.md says what to do about each.",
                        {"{{alertname}}": 'count by (alertname) (ALERTS{alertstate="firing"})'},
                    ),
                    graph(
                        "Oldest open and unsent order",
                        "An order that is swept shows for a minute.",
                        {"open": "max(order_open_oldest_seconds)", "unsent": "max(order_unsent_oldest_seconds)"},
                        unit="s",
                    ),
                    graph(
                        "Parked orders and dead letters",
                        "Both stay until somebody decides.",
                        {"parked": "order:parked:max", "dead letters": 'order:queue_messages:max{queue="dead"}'},
                    ),
                    graph(
                        "Said again by a sweep",
                        "What the queue lost, or takes long.",
                        {"swept": "sum(rate(order_sweeps_total[$__rate_interval]))"},
                        unit="ops",
                    ),
                ],
            ),
        ],
    )
