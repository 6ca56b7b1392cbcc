"""Messages to topics of Kafka."""
