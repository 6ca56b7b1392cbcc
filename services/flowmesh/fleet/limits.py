"""Bounds of agents."""

from typing import Final

NAME_CHARACTERS_MAX: Final = 63
SPECS_MAX: Final = 200
AGENTS_MAX: Final = 500
WORDS_MAX: Final = 100
COMMAND_CHARACTERS_MAX: Final = 8 * 1024
FILES_MAX: Final = 50
FILE_BYTES_MAX: Final = 1024 * 1024
VARIABLES_MAX: Final = 100
VARIABLE_BYTES_MAX: Final = 8 * 1024
QUEUES_MAX: Final = 20
SECRETS_MAX: Final = 20
ENDPOINTS_MAX: Final = 20
SLOTS_MAX: Final = 1_000
TIMEOUT_MS_MAX: Final = 3_600_000
SCHEDULES_MAX: Final = 10
SCHEDULE_MS_MAX: Final = 7 * 24 * 3_600_000
GAUGES_MAX: Final = 20
GAUGE_MAX: Final = 10**12
CPU_MIN: Final = 0.01
CPU_MAX: Final = 256
MEMORY_BYTES_MIN: Final = 16 * 1024 * 1024
ENDED_LISTED_MAX: Final = 100
DECISIONS_LISTED_MAX: Final = 200
DECISIONS_KEPT_DAYS: Final = 30
ENDED_KEPT_DAYS: Final = 1
LAST_WORDS_BYTES: Final = 4 * 1024

# The instance that leads keeps its lease by a write each round.
LEASE_MS: Final = 5_000
START_TIMEOUT_MS: Final = 30_000
DRAIN_TIMEOUT_MS: Final = 30_000
# An agent that attends every 2 s and is silent for so long is degraded, then killed.
DEGRADED_MS: Final = 6_000
SILENT_MS: Final = 10_000
# So many ends of agents within the window are a crash loop: one try a minute.
CRASHES_MAX: Final = 5
CRASH_WINDOW_MS: Final = 600_000
RESTART_MS: Final = 500
RESTART_MS_MAX: Final = 60_000
# The end of an agent that was ready for so long is no crash of its spec.
STEADY_MS: Final = 30_000
# A new version whose agents end so often before one is ready goes back.
UPDATE_FAILURES_MAX: Final = 3
# Agents run without their fleet for so long.
KEPT_S: Final = 60.0
