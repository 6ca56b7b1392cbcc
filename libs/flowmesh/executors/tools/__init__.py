"""Tools of MCP servers: the task, its calls, and the client that makes them."""
