"""The client: one module per area of calls, sessions, and the blocking client."""
