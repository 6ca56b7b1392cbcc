"""Brokers of applications: in memory, NATS, Kafka, Redis, and the broker of the suite."""
