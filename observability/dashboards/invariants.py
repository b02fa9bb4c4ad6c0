"""Dashboard of invariants: every accepted order ends, and until then the platform or an operator works on it."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from observability.dashboards.panels import board, figure, graph


def invariants() -> Dashboard:
    return board(
        "invariants",
        "Orders: invariants",
        "Every accepted order ends, and until then the platform or an operator works on it.",
        [
            (
                "Now",
                [
                    figure(
                        "Oldest open order",
                        "Age of the oldest order without a final status. OrderOldestOpen fires above 15 minutes.",
                        "order:open_oldest_seconds:max16m",
                        unit="s",
                        bad_from=900,
                    ),
                    figure(
                        "Oldest unsent order",
                        "Age of the oldest order whose message SQS refused. OrderOldestUnsent fires above 5 minutes.",
                        "order:unsent_oldest_seconds:max5m",
                        unit="s",
                        bad_from=300,
                    ),
                    figure("Parked orders", "Each needs an operator.", "order:parked:max", bad_from=1),
                    figure(
                        "Dead letters",
                        "Messages that the processor cannot process.",
                        'order:queue_messages:max{queue="dead"}',
                        bad_from=1,
                    ),
                    figure(
                        "Accepted orders in 5 minutes",
                        "OrderNoOrders fires after 30 minutes without an order, if there were 10 a week earlier.",
                        "sum(increase(order_accepted_total[5m]))",
                    ),
                    figure(
                        "Firing alerts",
                        "Prometheus lists them.",
                        'count(ALERTS{alertstate="firing"}) or vector(0)',
                        bad_from=1,
                    ),
                ],
            ),
            (
                "Over time",
                [
                    graph(
                        "Accepted and ended orders per hour",
                        "Ended follows accepted. An order that is cancelled after its confirmation ends twice.",
                        {
                            "accepted": "sum(increase(order_accepted_total[1h]))",
                            "ended": "sum(increase(order_ended_total[1h]))",
                        },
                    ),
                    graph(
                        "Ended orders by status",
                        "Shares in the last hour. Many rejections: products out of stock, or payments declined.",
                        {
                            "{{status}}": "sum by (status) (increase(order_ended_total[1h]))"
                            " / on () group_left () sum(increase(order_ended_total[1h]))"
                        },
                        unit="percentunit",
                    ),
                    graph(
                        "Firing alerts over time",
                        "docs/operations.md has the runbook of each alert.",
                        {"{{alertname}}": 'count by (alertname) (ALERTS{alertstate="firing"})'},
                    ),
                    graph(
                        "Oldest open and oldest unsent order",
                        "A swept order appears for one minute.",
                        {"open": "max(order_open_oldest_seconds)", "unsent": "max(order_unsent_oldest_seconds)"},
                        unit="s",
                    ),
                    graph(
                        "Parked orders and dead letters",
                        "Both stay until an operator acts.",
                        {"parked": "order:parked:max", "dead letters": 'order:queue_messages:max{queue="dead"}'},
                    ),
                    graph(
                        "Resent by sweeper",
                        "Orders whose message was lost, or whose processing takes long.",
                        {"swept": "sum(rate(order_sweeps_total[$__rate_interval]))"},
                        unit="ops",
                    ),
                ],
            ),
        ],
    )
