"""The broker: exchanges, queues and streams of users' messages, over JetStream and PostgreSQL."""
