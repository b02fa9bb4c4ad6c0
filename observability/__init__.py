"""What is looked at while the platform runs: rules of Prometheus, and dashboards of Grafana as code."""
