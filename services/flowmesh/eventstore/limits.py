"""Limits of the event store."""

from typing import Final

EVENT_BYTES_MAX: Final = 1024 * 1024
METADATA_BYTES_MAX: Final = 64 * 1024
TEXT_CHARACTERS_MAX: Final = 255
BATCH_EVENTS_MAX: Final = 500
BATCH_BYTES_MAX: Final = 4 * 1024 * 1024
SNAPSHOT_BYTES_MAX: Final = 1024 * 1024
TYPES_MAX: Final = 100

PAGE_DEFAULT: Final = 100
PAGE_MAX: Final = 1_000
PAGE_BYTES_MAX: Final = 4 * 1024 * 1024
# Events examined for one page of a selection.
SCANNED_MAX: Final = 5_000
# Changes of a definition in its virtual stream.
CHANGES_MAX: Final = 10_000
# Positions in one partition of the table of events.
PARTITION_EVENTS: Final = 1_000_000

GROUPS_MAX: Final = 1_000
LEASE_DEFAULT_MS: Final = 30_000
LEASE_MIN_MS: Final = 100
LEASE_MAX_MS: Final = 12 * 3_600_000
ATTEMPTS_DEFAULT: Final = 5
ATTEMPTS_MAX: Final = 1_000
RETRY_DELAY_DEFAULT_MS: Final = 1_000
RETRY_DELAY_MAX_MS: Final = 24 * 3_600_000
RECEIVE_MAX: Final = 500
RECEIVE_WAIT_MS_MAX: Final = 30_000
ERROR_CHARACTERS_MAX: Final = 1_024

PROJECTIONS_MAX: Final = 1_000
STATES_MAX: Final = 1_000
STATE_BYTES_MAX: Final = 1024 * 1024
RETENTION_EVENTS_MAX: Final = 10**12
RETENTION_AGE_MS_MAX: Final = 100 * 365 * 24 * 3_600_000
LAST_VERSION: Final = 2**62
