"""HTTP of applications: router, requests, answers, middlewares and the server."""
