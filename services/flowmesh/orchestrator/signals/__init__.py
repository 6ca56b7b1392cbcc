"""Signals from outside an execution: by key, by published events, by webhooks."""
