"""Triggers: schedules, published events, webhooks, and listening executions."""
