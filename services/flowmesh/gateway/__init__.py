"""REST, Server-Sent Events and WebSocket over the gRPC services; holds no state of its own."""
