"""Dashboard of webhooks: endpoints by state, requests to receivers, and the time until an event is delivered."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from observability.dashboards.panels import board, figure, graph


def webhooks() -> Dashboard:
    return board(
        "webhooks",
        "Orders: webhooks",
        "Endpoints by state, requests to receivers, and the time until an event is delivered.",
        [
            (
                "Now",
                [
                    figure(
                        "Active endpoints",
                        "Endpoints that receive events as they come.",
                        _endpoints("active"),
                    ),
                    figure(
                        "Failing endpoints",
                        "They get one request at a time. Their receivers have to be corrected.",
                        _endpoints("failing"),
                    ),
                    figure(
                        "Disabled endpoints",
                        "By their owners, by a 410, or after three days without a success.",
                        _endpoints("disabled"),
                    ),
                    figure(
                        "Lagging endpoints",
                        "Active endpoints that were behind the log at the last check, which is made each minute.",
                        "max(order_webhook_endpoints_lagging)",
                    ),
                    figure(
                        "Time to delivery, p99",
                        "From the change of an order to the request that delivered its event.",
                        _quantile(0.99, "order_webhook_age_seconds"),
                        unit="s",
                    ),
                    figure(
                        "Errors of the notifier",
                        "Deliveries that failed here, and not at the receiver. OrderWebhookErrors fires at ten.",
                        "sum(increase(order_webhook_errors_total[10m]))",
                        bad_from=10,
                    ),
                ],
            ),
            (
                "Deliveries",
                [
                    graph(
                        "Requests by outcome",
                        "`failed`: the receiver did not accept the event, which is sent again later.",
                        {"{{outcome}}": "sum by (outcome) (rate(order_webhook_attempts_total[$__rate_interval]))"},
                        unit="ops",
                    ),
                    graph(
                        "Duration of a request",
                        "Receivers have 20 seconds.",
                        {
                            "p50": _quantile(0.5, "order_webhook_attempt_seconds"),
                            "p99": _quantile(0.99, "order_webhook_attempt_seconds"),
                        },
                        unit="s",
                    ),
                    graph(
                        "Time to delivery",
                        "From the change of an order to the request that delivered its event, repetitions included.",
                        {
                            "p50": _quantile(0.5, "order_webhook_age_seconds"),
                            "p99": _quantile(0.99, "order_webhook_age_seconds"),
                        },
                        unit="s",
                    ),
                    graph(
                        "Endpoints by state",
                        "As the last check counted them.",
                        {"{{state}}": "max by (state) (order_webhook_endpoints)"},
                    ),
                    graph(
                        "Lagging endpoints over time",
                        "A growing number: notifiers are too few, or receivers are slow.",
                        {"lagging": "max(order_webhook_endpoints_lagging)"},
                    ),
                    graph(
                        "Webhooks without their order",
                        "The order could not be read by this release, so that `data` was left out.",
                        {"orders": "sum(rate(order_webhook_unreadable_orders_total[$__rate_interval]))"},
                        unit="ops",
                    ),
                ],
            ),
        ],
    )


def _endpoints(state: str) -> str:
    """Return the number of endpoints. Of all notifiers only the one that made the last check has counted them."""
    return f'max(order_webhook_endpoints{{state="{state}"}})'


def _quantile(share: float, histogram: str) -> str:
    return f"histogram_quantile({share}, sum by (le) (rate({histogram}_bucket[$__rate_interval])))"
