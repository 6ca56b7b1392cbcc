"""The HTTP port of a process: server, framing, guards against browsers, and CORS."""
