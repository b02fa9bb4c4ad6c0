"""What customers meet: are they let in, how fast are they answered, how soon does an order end."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from observability.dashboards.panels import board, figure, graph


def customer() -> Dashboard:
    return board(
        "customer",
        "Orders: customers",
        "What customers meet: are they let in, how fast are they answered, how soon does an order end.",
        [
            (
                "Now",
                [
                    figure(
                        "Orders a minute",
                        "Accepted; a request that is repeated counts once.",
                        "order:accepted:rate5m * 60",
                    ),
                    figure(
                        "Answers of 5xx",
                        "Of all answers in five minutes. OrderApiErrors fires above 1 %.",
                        "order:http_errors:ratio_rate5m",
                        unit="percentunit",
                        bad_from=0.01,
                    ),
                    figure(
                        "Accepting, p99",
                        "OrderApiLatency fires above a second.",
                        "order:accept_seconds:p99_5m",
                        unit="s",
                        bad_from=1,
                    ),
                    figure(
                        "To the end, p99",
                        "From accepted to confirmed or rejected; from the wish to cancel to cancelled.",
                        "order:end_seconds:p99_5m",
                        unit="s",
                    ),
                    figure(
                        "Requests a second",
                        "All of them, health checks aside.",
                        "sum(order:http_requests:rate5m)",
                        unit="reqps",
                    ),
                    figure(
                        "Requests under way",
                        "Over all tasks; each refuses above its setting ORDER_MAX_IN_FLIGHT.",
                        "sum(order_http_in_flight)",
                    ),
                ],
            ),
            (
                "Answers",
                [
                    graph(
                        "By status",
                        "401 and 403: the token issuer, or a client. 429 and 503: a limit of ours, see below.",
                        {"{{status}}": "sum by (status) (order:http_requests:rate5m)"},
                        unit="reqps",
                    ),
                    graph(
                        "By route",
                        "`unmatched` was refused before its route was looked for, or has none.",
                        {"{{route}}": "sum by (route) (order:http_requests:rate5m)"},
                        unit="reqps",
                    ),
                    graph(
                        "Refused by a limit",
                        "Rate: of one tenant. Overload: of one task, so more tasks are needed.",
                        {"{{limit}}": "sum by (limit) (rate(order_http_refused_total[$__rate_interval]))"},
                        unit="reqps",
                    ),
                ],
            ),
            (
                "Speed",
                [
                    graph(
                        "Accepting an order",
                        "From the first byte of the request to the end of a 202; the order is stored by then.",
                        {"p50": "order:accept_seconds:p50_5m", "p99": "order:accept_seconds:p99_5m"},
                        unit="s",
                    ),
                    graph(
                        "From accepted to its end",
                        "Waiting in the queue, stock and payment. A cancellation counts from when it was asked for.",
                        {"p50": "order:end_seconds:p50_5m", "p99": "order:end_seconds:p99_5m"},
                        unit="s",
                    ),
                    graph(
                        "Ends",
                        "Rejected: out of stock, or the payment was declined.",
                        {"{{status}}": "order:ended:rate5m"},
                        unit="ops",
                    ),
                ],
            ),
        ],
    )
