"""Bounds of the definition service."""

PAGE_SIZE_DEFAULT = 100
PAGE_SIZE_MAX = 1_000
# Definitions of one page in all; a page holds at least one.
PAGE_BYTES_MAX = 2 * 1024 * 1024
FILTER_CHARACTERS_MAX = 4_096
FILTER_TERMS_MAX = 32

APPLY_ATTEMPTS_MAX = 5
REQUESTS_KEPT_HOURS = 24
REQUESTS_FORGOTTEN_AT_ONCE = 100

PLANS_CACHED_BYTES_MAX = 64 * 1024 * 1024
PLANS_CACHED_MAX = 1_000
VERSIONS_CACHED_BYTES_MAX = 32 * 1024 * 1024
VERSIONS_CACHED_MAX = 2_000
# A text as it was read takes up to so many times its bytes.
READING_BYTES_PER_SOURCE_BYTE = 40
# Texts, and workflows of versions, each.
READINGS_CACHED_BYTES_MAX = 64 * 1024 * 1024
READINGS_CACHED_MAX = 100
# Problems, plans and analyses of texts, each.
OUTCOMES_CACHED_BYTES_MAX = 16 * 1024 * 1024
OUTCOMES_CACHED_MAX = 1_000
PROBLEM_BYTES = 1_024
NOTICE_TIMEOUT_S = 2.0

# Of workflows that a change to a task would break: problems shown, and workflows read at a time.
BROKEN_SHOWN_MAX = 20
AFFECTED_AT_ONCE = 50
AFFECTED_SHOWN_MAX = 100

LABELS_MAX = 100
LABEL_MOVES_KEPT = 100
TEXT_CHARACTERS_MAX = 1_024
# Of one change: differences kept, and bytes of a value.
DIFFERENCES_KEPT_MAX = 200
DIFFERENCE_BYTES_MAX = 4_096

# How long a node may be said to take: as long as an execution may be kept.
DURATION_MS_MAX = 3_650 * 24 * 3_600_000
TEMPLATES_COUNTED_MAX = 1_000
YAML_COLUMNS = 100

# Running executions compared with another version.
MOVES_MAX = 1_000
MOVES_AT_ONCE = 100
# Dry runs that go on at a time, and what one may take and answer.
REHEARSALS_MAX = 4
REHEARSAL_S = 8.0
REPORT_BYTES_MAX = 8 * 1024 * 1024
