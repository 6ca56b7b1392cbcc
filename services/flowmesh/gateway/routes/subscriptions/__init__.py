"""Durable subscriptions and their notifications."""
