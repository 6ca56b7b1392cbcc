"""gRPC services of the orchestrator: translation of messages to calls and back."""
