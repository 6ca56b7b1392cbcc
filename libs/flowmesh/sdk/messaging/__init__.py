"""Messages between programs: exchanges, queues, handlers."""
