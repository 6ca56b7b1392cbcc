"""Queries of Prometheus."""
