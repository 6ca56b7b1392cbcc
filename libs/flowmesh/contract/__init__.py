"""Values of the contracts that libraries, services and the SDK must agree on. Imports nothing."""

from flowmesh.contract.limits import INLINE_BYTES_MAX
from flowmesh.contract.retries import (
    DEFAULT_RETRY,
    FINAL_BY_DEFAULT,
    NEVER_RETRIED,
    TEMPORARY,
)

__all__ = [
    "DEFAULT_RETRY",
    "FINAL_BY_DEFAULT",
    "INLINE_BYTES_MAX",
    "NEVER_RETRIED",
    "TEMPORARY",
]
