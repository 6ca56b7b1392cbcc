"""The classes of failed attempts that the suite itself chooses; user code adds its own."""

from collections.abc import Mapping
from types import MappingProxyType

FAILURE_CLASSES: Mapping[str, str] = MappingProxyType(
    {
        "Timeout": "The attempt, or what it called, took longer than its limit; retried unless"
        " said otherwise.",
        "NetworkError": "The called service could not be reached; retried unless said otherwise.",
        "RateLimitError": "The called service asked to slow down (HTTP 429); retried unless said"
        " otherwise.",
        "ServerError": "The called service failed (HTTP 5xx); retried unless said otherwise.",
        "AuthenticationError": "The called service refused the credentials (HTTP 401, 403).",
        "ClientError": "The called service refused the request (HTTP 4xx).",
        "ValidationError": "An input, an output or a configuration does not fit its schema.",
        "ResourceLimit": "A limit of memory, size, time or rounds was exceeded.",
        "Cancelled": "The task was canceled, or its handler canceled itself.",
        "POISON": "The task was given up: its workers ended again and again while they ran it.",
        "HandlerMissing": "The worker that got the task has no handler for its type.",
        "ProcessDied": "The process that ran the handler ended without a result.",
        "ChildFailed": "The execution that the task started did not complete.",
        "CIRCUIT_OPEN": "The circuit breaker of the called service is open; retried unless said"
        " otherwise.",
    }
)
