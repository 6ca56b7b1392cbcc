"""Values of the contracts that libraries, services and the SDK must agree on. Imports nothing."""

from flowmesh.contract.limits import INLINE_BYTES_MAX
from flowmesh.contract.retries import DEFAULT_RETRY, NEVER_RETRIED, RETRIED_BY_DEFAULT

__all__ = ["DEFAULT_RETRY", "INLINE_BYTES_MAX", "NEVER_RETRIED", "RETRIED_BY_DEFAULT"]
