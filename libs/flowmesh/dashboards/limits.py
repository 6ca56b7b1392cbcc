"""Limits of dashboards."""

from typing import Final

DOCUMENT_BYTES_MAX: Final = 64 * 1024
PANELS_MAX: Final = 60
SERIES_MAX: Final = 10
"""Series of one panel."""

CONDITIONS_MAX: Final = 10
HOURS_MAX: Final = 31 * 24
TITLE_CHARACTERS_MAX: Final = 128
