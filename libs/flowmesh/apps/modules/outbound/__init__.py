"""Modules that act beyond requests: brokers, machines, schedules, senders, stores, components."""
