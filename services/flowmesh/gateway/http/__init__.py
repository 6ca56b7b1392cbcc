"""HTTP over ASGI: requests, routing, streams. Independent of workflows."""
