"""Every bound of the gateway in one place."""

BODY_BYTES_MAX = 8 * 1024 * 1024
PAYLOAD_BYTES_MAX = 64 * 1024 * 1024
# A body that takes longer is given up; a large one belongs into a payload.
BODY_READ_S = 60.0
WEBHOOK_BYTES_MAX = 256 * 1024
# What somebody filled in on a page.
FORM_BYTES_MAX = 256 * 1024
FORM_FIELDS_MAX = 200
# Stored values that one answer takes back in, in all; what is beyond stays a reference.
ANSWER_PAYLOAD_BYTES_MAX = 16 * 1024 * 1024
PAYLOAD_CHUNK_BYTES = 1024 * 1024
INT64_MAX = 2**63 - 1
ID_CHARACTERS_MAX = 128
TEXT_CHARACTERS_MAX = 4_096
# Of who changes a definition, and why.
CHANGE_CHARACTERS_MAX = 1_024

SYNC_WAIT_MS_MAX = 30_000
# What a call may take beyond the time it waits on purpose.
CALL_SLACK_S = 5.0
PAYLOAD_CALL_S = 60.0

PAGE_SIZE_MAX = 1_000
# The step-JSON list of workflows has no paging in its clients.
STEP_LIST_PAGE_SIZE = 1_000
HISTORY_PAGE_SIZE_MAX = 10_000
# Events that one trace is built from; beyond, it says that it is cut.
TRACE_EVENTS_MAX = 50_000

HEARTBEAT_S = 15.0
# How soon a browser's EventSource comes back.
RECONNECT_MS = 1_000
SUBSCRIBE_WAIT_S = 10.0
