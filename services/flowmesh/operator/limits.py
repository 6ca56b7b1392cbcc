"""Bounds of the operator, each with its unit."""

from typing import Final

WORKERS: Final = 4
# A key is tried again after this time, doubled by each failure.
RETRY_MIN_S: Final = 0.1
RETRY_MAX_S: Final = 300.0
RESYNC_S: Final = 600.0
# The share of the resync by which keys are spread.
RESYNC_SPREAD: Final = 0.2
CALLS_PER_SECOND: Final = 20
# Time after which an App or Infrastructure is looked at again, and while it starts.
PROVISION_AGAIN_S: Final = 30.0
PROVISION_PROGRESS_S: Final = 1.0
# Time after which the count of agents is read again.
AGENTS_AGAIN_S: Final = 3.0
# The users of a task are counted so long after one of them has changed.
USERS_COUNTED_AFTER_S: Final = 2.0
CHECK_TIMEOUT_S: Final = 5.0
SCALER_STREAM_S: Final = 2.0
RELIST_PAUSE_S: Final = 1.0
LIST_CHUNK: Final = 500
# An API server ends a watch after this time; it is continued from its last version.
WATCH_S: Final = 300
PROBLEMS_SHOWN: Final = 3
MESSAGE_CHARACTERS_MAX: Final = 4_000

LEASE_S: Final = 15
LEASE_RENEW_S: Final = 10
LEASE_RETRY_MS: Final = 2_000

REVIEW_BYTES_MAX: Final = 3 * 1024 * 1024
REVIEWS_AT_ONCE: Final = 100
REVIEW_TIMEOUT_S: Final = 9.0
# The check of a document, after that of the objects; the application host bounds their number.
DOCUMENT_TIMEOUT_S: Final = 7.0

CERTIFICATE_DAYS: Final = 90
AUTHORITY_DAYS: Final = 730
CERTIFICATE_CHECK_MS: Final = 10_000
CERTIFICATE_AWAITED_MS: Final = 500
# The API servers read a changed bundle within this time.
BUNDLE_SETTLES_S: Final = 60
