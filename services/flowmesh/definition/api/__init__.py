"""gRPC services: translation of messages to calls and back."""
