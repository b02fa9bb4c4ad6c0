"""Monitoring of the platform: Prometheus rules, and Grafana dashboards as code."""
