"""Signals of a process on their way to programs of others: OTLP, StatsD, remote write."""
