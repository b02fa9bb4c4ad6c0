"""What runs, and whether the new build does as well as the old one."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from observability.dashboards.panels import BUILDS, board, graph

BUILD = "* on (job, instance) group_left (commit) order_build_info"
"""Gives a series of one task the commit that it was built from."""

BY_COMMIT = "sum by (commit)"
ROUTES = 'route!~"/healthz|/serving|/readyz|/metrics"'
REQUESTS = f"{BY_COMMIT} (rate(order_http_requests_total{{{ROUTES}}}[$__rate_interval]) {BUILD})"
ERRORS = f'{BY_COMMIT} (rate(order_http_requests_total{{{ROUTES}, status=~"5.."}}[$__rate_interval]) {BUILD})'


def deployment() -> Dashboard:
    return board(
        "deployment",
        "Orders: deployment",
        "What runs, and whether the new build does as well as the old one.",
        [
            (
                "What runs",
                [
                    graph(
                        "Tasks by build",
                        "Blue and green side by side, while both run.",
                        {"{{service}} {{version}} {{commit}}": BUILDS},
                    ),
                    graph(
                        "Tasks that answer",
                        "OrderNoApi and OrderNoProcessor fire at none.",
                        {"{{job}}": "sum by (job) (up)"},
                    ),
                    graph(
                        "Since its start",
                        "A line that falls again and again is a task that does not stay.",
                        {"{{job}} {{instance}}": "time() - order_process_start_time_seconds"},
                        unit="s",
                    ),
                ],
            ),
            (
                "How each build does",
                [
                    graph(
                        "Requests by commit",
                        "Where the traffic goes.",
                        {"{{commit}}": REQUESTS},
                        unit="reqps",
                    ),
                    graph(
                        "Answers of 5xx by commit",
                        "Of all answers of that build. Above 1 % the deployment is rolled back.",
                        {"{{commit}}": f"({ERRORS} or 0 * {REQUESTS}) / {REQUESTS}"},
                        unit="percentunit",
                    ),
                    graph(
                        "Accepting an order by commit, p99",
                        "Above a second the deployment is rolled back.",
                        {
                            "{{commit}}": "histogram_quantile(0.99, sum by (le, commit)"
                            f" (rate(order_accept_seconds_bucket[$__rate_interval]) {BUILD}))"
                        },
                        unit="s",
                    ),
                ],
            ),
            (
                "What each task takes",
                [
                    graph(
                        "CPU",
                        "Of one core.",
                        {"{{job}} {{instance}}": "rate(order_process_cpu_seconds_total[$__rate_interval])"},
                        unit="percentunit",
                    ),
                    graph(
                        "Memory",
                        "Resident. It is level after the first minutes.",
                        {"{{job}} {{instance}}": "order_process_resident_memory_bytes"},
                        unit="bytes",
                    ),
                    graph(
                        "Open files",
                        "Connections, as a rule.",
                        {"{{job}} {{instance}}": "order_process_open_fds"},
                    ),
                ],
            ),
        ],
    )
