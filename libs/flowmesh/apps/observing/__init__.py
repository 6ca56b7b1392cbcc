"""Observation of applications: logs, metrics, and the last runs of pipelines."""
