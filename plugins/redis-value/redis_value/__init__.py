"""Values of Redis and Valkey."""
