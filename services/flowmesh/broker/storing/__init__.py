"""Storage of messages in JetStream: requests, encryption, delays."""
