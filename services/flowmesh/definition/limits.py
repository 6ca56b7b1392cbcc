"""Limits of the definition service."""

PAGE_SIZE_DEFAULT = 100
PAGE_SIZE_MAX = 1_000
# All definitions of one page together; a page holds at least one.
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
# Memory of a parsed text per byte of the text.
READING_BYTES_PER_SOURCE_BYTE = 40
# For texts and for workflows of versions, each.
READINGS_CACHED_BYTES_MAX = 64 * 1024 * 1024
READINGS_CACHED_MAX = 100
# For problems, plans and analyses of texts, each.
OUTCOMES_CACHED_BYTES_MAX = 16 * 1024 * 1024
OUTCOMES_CACHED_MAX = 1_000
PROBLEM_BYTES = 1_024
NOTICE_TIMEOUT_S = 2.0

# Workflows that a change to a task would break: problems reported, and workflows read at a time.
BROKEN_SHOWN_MAX = 20
AFFECTED_AT_ONCE = 50
AFFECTED_SHOWN_MAX = 100

LABELS_MAX = 100
LABEL_MOVES_KEPT = 100
TEXT_CHARACTERS_MAX = 1_024
# Per change: stored differences, and bytes of a value.
DIFFERENCES_KEPT_MAX = 200
DIFFERENCE_BYTES_MAX = 4_096

# Assumed durations of nodes: at most the longest retention of an execution.
DURATION_MS_MAX = 3_650 * 24 * 3_600_000
TEMPLATES_COUNTED_MAX = 1_000
YAML_COLUMNS = 100

# Running executions that are compared with another version.
MOVES_MAX = 1_000
MOVES_AT_ONCE = 100
# Concurrent dry runs, the time limit of one, and the size limit of its report.
DRY_RUNS_MAX = 4
DRY_RUN_S = 8.0
OPTIMIZE_S = 20.0
OPTIMIZE_EXECUTIONS = 100
OPTIMIZE_EXECUTIONS_MAX = 1_000
PROPOSALS_MAX = 20
# Executions that are rehearsed as they are, and with all proposals.
REHEARSED_MAX = 50
REPLAYS_MAX = 5
REPORT_BYTES_MAX = 8 * 1024 * 1024
