"""Grafana dashboards as code. `make dashboards` writes them into `observability/grafana/dashboards`."""
