"""The failure classes that Flowmesh itself assigns; user code adds its own."""

from collections.abc import Mapping
from types import MappingProxyType

FAILURE_CLASSES: Mapping[str, str] = MappingProxyType(
    {
        "Timeout": "The attempt, or a call that it made, exceeded its time limit; retried by"
        " default.",
        "NetworkError": "The called service could not be reached; retried by default.",
        "RateLimitError": "The called service asked to slow down (HTTP 429); retried by default.",
        "ServerError": "The called service failed (HTTP 5xx); retried by default.",
        "AuthenticationError": "The called service refused the credentials (HTTP 401, 403).",
        "ClientError": "The called service refused the request (HTTP 4xx).",
        "ValidationError": "An input, an output or a configuration does not fit its schema.",
        "GuardrailError": "A guard of a model step stopped it: a pattern, a refusal, an answer that"
        " is cut or does not fit its schema.",
        "BudgetError": "A model step has no tokens or no money left in one of its budgets.",
        "SecretUnavailable": "A secret of the task is not stored, or cannot be opened.",
        "ResourceLimit": "A limit of memory, size, time or rounds was exceeded.",
        "Cancelled": "The task was canceled, or its handler canceled itself.",
        "POISON": "The task crashed its workers repeatedly and is not retried any more.",
        "HandlerMissing": "The worker that received the task has no handler for its type.",
        "ProcessDied": "The process that ran the handler ended without a result.",
        "ChildFailed": "The execution that the task started did not complete.",
        "CIRCUIT_OPEN": "The circuit breaker of the called service is open; retried by default.",
    }
)
