"""Routes of the broker: queues of messages, exchanges, messages."""
