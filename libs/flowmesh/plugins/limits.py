"""Bounds of plugins and of their catalogues."""

from typing import Final

NAME_CHARACTERS_MAX: Final = 40
WHEEL_BYTES_MAX: Final = 512 * 1024
FILES_MAX: Final = 40
FILES_BYTES_MAX: Final = 768 * 1024
LIBRARIES_MAX: Final = 5
TASKS_MAX: Final = 20
PERMISSIONS_MAX: Final = 20
CONFIGURATION_BYTES_MAX: Final = 64 * 1024
INDEX_BYTES_MAX: Final = 4 * 1024 * 1024
INDEX_ENTRIES_MAX: Final = 5_000
CATALOGUE_TIMEOUT_MS: Final = 10_000
SELF_TEST_S: Final = 15.0
# Connections that the process of a connector keeps open.
CONNECTIONS_MAX: Final = 8
# Plugins whose modules a process keeps for the next call.
KEPT_MAX: Final = 32
TEXT_BYTES_MAX: Final = 1024 * 1024
# The time of a function that can only compute.
COMPUTE_TIMEOUT_MS: Final = 10_000
