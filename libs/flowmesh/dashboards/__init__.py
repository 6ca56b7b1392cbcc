"""Saved dashboards: the document, the metrics that it may name, and import from Grafana. No I/O."""
