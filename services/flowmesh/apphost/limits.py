"""Bounds of hosted applications."""

from typing import Final

# Releases of an application that are kept.
RELEASES_KEPT: Final = 20
RELEASE_MAX: Final = 2**31 - 1
SOURCE_BYTES_MAX: Final = 6 * 1024 * 1024
FILES_MAX: Final = 200
PATH_CHARACTERS_MAX: Final = 200
VARIABLES_MAX: Final = 100
VARIABLE_BYTES_MAX: Final = 8 * 1024
NAME_CHARACTERS_MAX: Final = 63
# Plugins that the texts of a release name, and the size of their modules.
PLUGINS_MAX: Final = 20
PLUGINS_BYTES_MAX: Final = 1024 * 1024
PROBLEM_CHARACTERS_MAX: Final = 2_000
LOG_RECORDS_MAX: Final = 1_000
LOG_RECORDS: Final = 100
# A log is one file of at most this size, and the one before it.
LOG_BYTES_MAX: Final = 4 * 1024 * 1024
LOG_TEXT_CHARACTERS_MAX: Final = 200

# A call waits so long for the result of a release.
ANSWER_S: Final = 8.0
# Checks of documents that are not released: at a time, waiting, and the time of one.
CHECKS_RUNNING: Final = 2
CHECKS_WAITING: Final = 20
CHECK_S: Final = 20.0
# A release that is not ready by then is refused.
READY_S: Final = 45.0
# Idle connections of a replaced release stay open for their next request.
LINGER_S: Final = 5.0
# A replaced release that has not ended by then is killed.
DRAIN_S: Final = 40.0
# Durable runs of a replaced release have this time to end in it; then they continue in the new one.
RUNS_S: Final = 600.0
# The same when the host itself stops.
STOP_S: Final = 4.0

MEMORY_BYTES: Final = 256 * 1024 * 1024
OPEN_FILES_MAX: Final = 4_096
# Ports below are those of the machine.
PORT_MIN: Final = 1_024

# So many ends of a process within the window are a crash loop.
CRASHES_MAX: Final = 5
CRASH_WINDOW_S: Final = 60.0
RESTART_S: Final = 0.2
# A release that gets into a crash loop this soon is replaced by the one before it.
YOUNG_S: Final = 300.0
