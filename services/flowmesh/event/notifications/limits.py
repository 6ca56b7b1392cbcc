"""Bounds of durable subscriptions."""

from typing import Final

SUBSCRIPTIONS_MAX: Final = 100
TYPES_MAX: Final = 50
TEXT_CHARACTERS_MAX: Final = 1_024
FILTER_CHARACTERS_MAX: Final = 4_096
TEMPLATE_BYTES_MAX: Final = 64 * 1024
HEADERS_MAX: Final = 20
# Pending notifications at which lifecycle events wait and published events are dropped.
PENDING_MAX: Final = 10_000
KEPT_DAYS: Final = 7
PAGE_DEFAULT: Final = 100
PAGE_MAX: Final = 1_000
RESEND_IDS_MAX: Final = 500
RESEND_MAX: Final = 10_000

ATTEMPTS_DEFAULT: Final = 25
ATTEMPTS_MAX: Final = 100
DELAY_DEFAULT_MS: Final = 1_000
DELAY_CAP_DEFAULT_MS: Final = 3_600_000
DAY_MS: Final = 24 * 3_600_000
CONCURRENCY_DEFAULT: Final = 4
CONCURRENCY_MAX: Final = 32
BREAKER_DEFAULT: Final = 5
BREAKER_MAX: Final = 100
OPEN_DEFAULT_MS: Final = 30_000
OPEN_MAX_MS: Final = 600_000
DISABLE_AFTER_MS: Final = 3 * DAY_MS

WINDOW_DEFAULT_MS: Final = 300_000
COUNT_MAX: Final = 10_000
OVERLAP_DEFAULT_MS: Final = DAY_MS
OVERLAP_MAX_MS: Final = 7 * DAY_MS
