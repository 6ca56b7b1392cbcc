"""Routing: the queues to which exchanges lead a message."""
