"""The gRPC services: messages to arguments, one call, results to messages."""
