"""gRPC services: messages to calls and back."""
