"""Limits and times of the mesh, in seconds."""

from typing import Final

DEFAULT_TIMEOUT_S: Final = 10.0
# The wait of a call for the first instances of its service.
APPEAR_S: Final = 2.0
TRIES_MAX: Final = 4
REPORT_EVERY_S: Final = 2.0
REPORT_TIMEOUT_S: Final = 2.0
# Time for callers to notice that an instance drains, before it refuses calls.
DRAIN_NOTICE_S: Final = 1.0
DRAIN_GRACE_S: Final = 10.0
WATCH_AGAIN_S: Final = 1.0
CERTIFICATES_CHECKED_S: Final = 1.0
