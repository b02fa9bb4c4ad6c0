"""Dashboard of the customers' experience: availability, response times, and the time until an order ends."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from observability.dashboards.panels import board, figure, graph


def customer() -> Dashboard:
    return board(
        "customer",
        "Orders: customers",
        "What customers experience: availability, response times, and the time until an order ends.",
        [
            (
                "Now",
                [
                    figure(
                        "Accepted orders per minute",
                        "A repeated request counts once.",
                        "order:accepted:rate5m * 60",
                    ),
                    figure(
                        "5xx responses",
                        "Share of all responses in five minutes. OrderApiErrors fires above 1 %.",
                        "order:http_errors:ratio_rate5m",
                        unit="percentunit",
                        bad_from=0.01,
                    ),
                    figure(
                        "Time to accept an order, p99",
                        "OrderApiLatency fires above one second.",
                        "order:accept_seconds:p99_5m",
                        unit="s",
                        bad_from=1,
                    ),
                    figure(
                        "Time to end an order, p99",
                        "From accepted to confirmed or rejected; from the request to cancel to cancelled.",
                        "order:end_seconds:p99_5m",
                        unit="s",
                    ),
                    figure(
                        "Requests per second",
                        "All requests except health checks and scrapes.",
                        "sum(order:http_requests:rate5m)",
                        unit="reqps",
                    ),
                    figure(
                        "Requests in flight",
                        "Sum over all tasks. Each task refuses requests above ORDER_MAX_IN_FLIGHT.",
                        "sum(order_http_in_flight)",
                    ),
                ],
            ),
            (
                "Responses",
                [
                    graph(
                        "Responses by status",
                        "401 and 403: the token issuer or a client. 429 and 503: see Refused requests by limit.",
                        {"{{status}}": "sum by (status) (order:http_requests:rate5m)"},
                        unit="reqps",
                    ),
                    graph(
                        "Requests by route",
                        "`unmatched` has no route, or was refused before routing.",
                        {"{{route}}": "sum by (route) (order:http_requests:rate5m)"},
                        unit="reqps",
                    ),
                    graph(
                        "Refused requests by limit",
                        "Rate: the limit of one tenant. Overload: the limit of one task; more tasks are needed.",
                        {"{{limit}}": "sum by (limit) (rate(order_http_refused_total[$__rate_interval]))"},
                        unit="reqps",
                    ),
                ],
            ),
            (
                "Latency",
                [
                    graph(
                        "Time to accept an order",
                        "From the first byte of the request to the end of the 202 response. The order is then stored.",
                        {"p50": "order:accept_seconds:p50_5m", "p99": "order:accept_seconds:p99_5m"},
                        unit="s",
                    ),
                    graph(
                        "Time to end an order",
                        "Queue, stock and payment. A cancellation counts from its request.",
                        {"p50": "order:end_seconds:p50_5m", "p99": "order:end_seconds:p99_5m"},
                        unit="s",
                    ),
                    graph(
                        "Ended orders by status",
                        "Rejected: out of stock, or the payment was declined.",
                        {"{{status}}": "order:ended:rate5m"},
                        unit="ops",
                    ),
                ],
            ),
        ],
    )
