"""Limits of kept signals."""

from typing import Final

METRICS_MAX: Final = 2_000
LABELS_MAX: Final = 5_000
"""Label sets of one metric in a minute."""

RECORDS_MAX: Final = 1_000
"""Log records, and calls, of one batch."""

TEXT_CHARACTERS_MAX: Final = 256
FIELDS_BYTES_MAX: Final = 4_096
PAGE_DEFAULT: Final = 100
PAGE_MAX: Final = 1_000
POINTS_MAX: Final = 1_000
SERIES_MAX: Final = 100
CONDITIONS_MAX: Final = 10
QUERY_TIMEOUT_S: Final = 5.0
WRITE_TIMEOUT_S: Final = 3.0
WINDOW_S_MAX: Final = 366 * 86_400
WINDOW_S_DEFAULT: Final = 30 * 86_400
OBJECTIVES_MAX: Final = 100
"""Objectives of a namespace."""

DASHBOARDS_MAX: Final = 100
"""Dashboards of a namespace."""

EXECUTIONS_OF_TRACE_MAX: Final = 10
RECORDS_OF_TRACE_MAX: Final = 500
"""Calls, and log records, of one request."""

ALERT_BURN_RATE_MAX: Final = 100_000
