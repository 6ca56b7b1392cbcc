"""HTTP over ASGI: requests, routing, streams. Knows nothing of workflows."""
