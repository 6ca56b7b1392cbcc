"""Durable subscriptions: matching events are stored as notifications, and sent at least once."""
