"""Dashboard of deployments: the running builds, and a comparison of the new build with the old one."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from observability.dashboards.panels import BUILDS, board, graph

BUILD = "* on (job, instance) group_left (commit) order_build_info"
"""PromQL join that adds the commit of the running build to the time series of a task."""

BY_COMMIT = "sum by (commit)"
ROUTES = 'route!~"/healthz|/serving|/readyz|/metrics"'
REQUESTS = f"{BY_COMMIT} (rate(order_http_requests_total{{{ROUTES}}}[$__rate_interval]) {BUILD})"
ERRORS = f'{BY_COMMIT} (rate(order_http_requests_total{{{ROUTES}, status=~"5.."}}[$__rate_interval]) {BUILD})'


def deployment() -> Dashboard:
    return board(
        "deployment",
        "Orders: deployment",
        "The running builds, and a comparison of the new build with the old one.",
        [
            (
                "Running tasks",
                [
                    graph(
                        "Tasks by build",
                        "During a deployment, both blue and green.",
                        {"{{service}} {{version}} {{commit}}": BUILDS},
                    ),
                    graph(
                        "Tasks up",
                        "OrderNoApi and OrderNoProcessor fire at zero.",
                        {"{{job}}": "sum by (job) (up)"},
                    ),
                    graph(
                        "Uptime of each task",
                        "A line that drops repeatedly is a task that keeps restarting.",
                        {"{{job}} {{instance}}": "time() - order_process_start_time_seconds"},
                        unit="s",
                    ),
                ],
            ),
            (
                "Comparison of builds",
                [
                    graph(
                        "Requests by commit",
                        "Share of the traffic of each build.",
                        {"{{commit}}": REQUESTS},
                        unit="reqps",
                    ),
                    graph(
                        "5xx responses by commit",
                        "Share of all responses of the build. Above 1 % the deployment is rolled back.",
                        {"{{commit}}": f"({ERRORS} or 0 * {REQUESTS}) / {REQUESTS}"},
                        unit="percentunit",
                    ),
                    graph(
                        "Time to accept an order by commit, p99",
                        "Above one second the deployment is rolled back.",
                        {
                            "{{commit}}": "histogram_quantile(0.99, sum by (le, commit)"
                            f" (rate(order_accept_seconds_bucket[$__rate_interval]) {BUILD}))"
                        },
                        unit="s",
                    ),
                ],
            ),
            (
                "Resources of each task",
                [
                    graph(
                        "CPU",
                        "Share of one core.",
                        {"{{job}} {{instance}}": "rate(order_process_cpu_seconds_total[$__rate_interval])"},
                        unit="percentunit",
                    ),
                    graph(
                        "Memory",
                        "Resident memory. It is stable after the first minutes.",
                        {"{{job}} {{instance}}": "order_process_resident_memory_bytes"},
                        unit="bytes",
                    ),
                    graph(
                        "Open files",
                        "Mostly connections.",
                        {"{{job}} {{instance}}": "order_process_open_fds"},
                    ),
                ],
            ),
        ],
    )
