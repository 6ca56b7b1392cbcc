"""Limits of the gateway."""

BODY_BYTES_MAX = 8 * 1024 * 1024
SAML_FORM_BYTES_MAX = 512 << 10
# Bodies with passwords or tokens.
CREDENTIALS_BYTES_MAX = 16 * 1024
PAYLOAD_BYTES_MAX = 64 * 1024 * 1024
# Time limit for reading a body; upload large values as payloads.
BODY_READ_S = 60.0
WEBHOOK_BYTES_MAX = 256 * 1024
# Submitted HTML forms.
FORM_BYTES_MAX = 256 * 1024
FORM_FIELDS_MAX = 200
# Stored values that a response inlines, in all; further ones remain references.
ANSWER_PAYLOAD_BYTES_MAX = 16 * 1024 * 1024
# The same of a workflow context, and its tasks of items: by default, and at most.
CONTEXT_PAYLOAD_BYTES_MAX = 128 * 1024
CONTEXT_TASKS = 200
CONTEXT_TASKS_MAX = 12_000
PAYLOAD_CHUNK_BYTES = 1024 * 1024
FILE_BYTES_MAX = 64 * 1024 * 1024
# Streams within a process hold up to 64 messages.
FILE_CHUNK_BYTES = 64 * 1024
INT32_MAX = 2**31 - 1
INT64_MAX = 2**63 - 1
ID_CHARACTERS_MAX = 128
TEXT_CHARACTERS_MAX = 4_096
# Actor and reason of a change to a definition.
CHANGE_CHARACTERS_MAX = 1_024

SYNC_WAIT_MS_MAX = 30_000
# Time to keep a signal with a key that no execution waits for.
SIGNAL_TTL_MS_MAX = 7 * 24 * 3_600_000
# Deadline of a call beyond its intended waiting time.
CALL_SLACK_S = 5.0
PAYLOAD_CALL_S = 60.0
FILE_CALL_S = 300.0

PAGE_SIZE_MAX = 1_000
# The longest step of a series of counts.
STEP_S_MAX = 366 * 24 * 3_600
# Clients of the step-JSON list of workflows do not support paging.
STEP_LIST_PAGE_SIZE = 1_000
HISTORY_PAGE_SIZE_MAX = 10_000
# Events per trace; a longer history is reported as truncated.
TRACE_EVENTS_MAX = 50_000

HEARTBEAT_S = 15.0
# Reconnection delay of EventSource in browsers.
RECONNECT_MS = 1_000
SUBSCRIBE_WAIT_S = 10.0
