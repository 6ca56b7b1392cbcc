"""Limits that span orchestrators: rules, permits, and the queues of ready tasks."""
