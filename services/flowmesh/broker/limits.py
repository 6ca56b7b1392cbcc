"""Limits of the broker."""

from typing import Final

BODY_BYTES_MAX: Final = 256 * 1024
BATCH_MESSAGES_MAX: Final = 500
BATCH_BYTES_MAX: Final = 4 * 1024 * 1024
HEADERS_MAX: Final = 64
# Names and values of the headers of a message together.
HEADERS_BYTES_MAX: Final = 16 * 1024
KEY_BYTES_MAX: Final = 255
TEXT_CHARACTERS_MAX: Final = 255
ERROR_CHARACTERS_MAX: Final = 1_024

QUEUES_MAX: Final = 1_000
EXCHANGES_MAX: Final = 1_000
BINDINGS_MAX: Final = 10_000
PRIORITY_MAX: Final = 9
SIZE_DEFAULT: Final = 100_000
SIZE_MAX: Final = 10_000_000
BYTES_DEFAULT: Final = 1024**3
TRANSIENT_BYTES_DEFAULT: Final = 8 * 1024**2
BYTES_MAX: Final = 1024**4
SCHEMA_BYTES_MAX: Final = 64 * 1024
TTL_MS_MAX: Final = 365 * 24 * 3_600_000

ATTEMPTS_DEFAULT: Final = 5
ATTEMPTS_MAX: Final = 1_000
DELAY_DEFAULT_MS: Final = 1_000
FACTOR_DEFAULT: Final = 2.0
FACTOR_MAX: Final = 100.0
DELAY_CAP_DEFAULT_MS: Final = 60_000
DELAY_MS_MAX: Final = 24 * 3_600_000
VISIBILITY_DEFAULT_MS: Final = 30_000
VISIBILITY_MIN_MS: Final = 100
VISIBILITY_MAX_MS: Final = 12 * 3_600_000

CREDIT_MAX: Final = 10_000
RECEIVE_MAX: Final = 500
RECEIVE_WAIT_MS_MAX: Final = 30_000
BROWSE_DEFAULT: Final = 50
BROWSE_MAX: Final = 500
REDRIVE_MAX: Final = 10_000
PAGE_DEFAULT: Final = 100
PAGE_MAX: Final = 1_000
# Queues of the metrics with a label of their own; further ones are counted as `other`.
LABELS_MAX: Final = 1_000
# Delayed messages of all namespaces.
DELAYED_MAX: Final = 1_000_000
REFERENCED_BYTES_MAX: Final = 64 * 1024 * 1024
WATCHED_MAX: Final = 1_000
WATCHERS_MAX: Final = 200
# A repeated message id is detected for this time.
DUPLICATES_S: Final = 600
