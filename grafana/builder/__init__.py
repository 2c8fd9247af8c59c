"""Builds the dashboards in grafana/dashboards/: `python -m grafana.builder`."""
