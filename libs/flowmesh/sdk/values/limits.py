"""Limits and default times of the SDK, each with its unit."""

STORED_BYTES_MAX = 64 * 1024 * 1024
CHUNK_BYTES = 512 * 1024

# A server accepts 100 calls per connection; further connections are opened before that.
CONNECTION_CALLS = 80
CONNECTIONS_MAX = 32
# The least time between two looks at the files of certificates.
CERTIFICATES_CHECKED_S = 1.0

CALL_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5.0
TLS_CHECK_TIMEOUT_S = 1.0
# The total time of a call with its retries.
RETRY_TOTAL_S = 30.0
RETRY_ATTEMPTS_MAX = 300
RETRY_WAIT_INITIAL_S = 0.1
RETRY_WAIT_MAX_S = 2.0
# The retries that all calls of a client share, and the share of one that a success returns.
RETRY_TOKENS = 10.0
RETRY_TOKENS_PER_SUCCESS = 0.1

# The default wait of a synchronous run.
RUN_TIMEOUT_S = 30.0
# The server ends a wait after five minutes; a shorter poll detects a lost server sooner.
WAIT_POLL_MS = 30_000

# Calls on a stream fail if it cannot be reopened for this long.
RECONNECT_BUDGET_S = 60.0
# A stream that lasts longer was connected; opening one takes less time.
STREAM_LASTED_S = 30.0

FRAME_BYTES_MAX = 1024 * 1024
FRAME_ITEMS_MAX = 1_000
SESSION_UNACKNOWLEDGED_MAX = 10_000
# Executions of a session whose results the server sends without a request for each.
SESSION_WATCHED_MAX = 10_000
# The minimum of starts in flight of a session that the server throttles.
SESSION_WINDOW_MIN = 10
SESSION_FLUSH_S = 10.0

# The interval of heartbeats of a registered service.
SERVICE_HEARTBEAT_S = 1.0

WORKER_SLOTS = 100
WORKER_SLOTS_MAX = 10_000
WORKER_THREADS_MAX = 256
WORKER_PROCESSES_MAX = 256
WORKER_PING_S = 3.0
WORKER_SILENCE_S = 10.0
WORKER_DRAIN_S = 10.0
WORKER_CANCEL_S = 1.0
# A line that a command as a worker writes.
COMMAND_LINE_BYTES_MAX = 8 * 1024 * 1024
# A command has so long to leave a canceled task, and to end with its worker.
COMMAND_CANCEL_S = 2.0
COMMAND_END_S = 2.0
WORKER_SPECS_MAX = 10_000
UNACKNOWLEDGED_RESULTS_MAX = 10_000
UNACKNOWLEDGED_BYTES_MAX = 8 * 1024 * 1024

# A durable handler that only waits is suspended after this time.
DURABLE_PATIENCE_S = 1.0
# Unacknowledged records are sent again after this time.
DURABLE_RESEND_S = 1.0
# The maximum of records in the message that suspends a handler.
DURABLE_SUSPEND_BYTES_MAX = 64 * 1024

TRACEBACK_CHARS_MAX = 8_192
MESSAGE_CHARS_MAX = 4_096
HEARTBEAT_BYTES_MAX = 64 * 1024
# The task log of one attempt.
TASK_LOG_BYTES_MAX = 16 * 1024
TASK_LOG_LINE_CHARS_MAX = 1_000

# An access token is renewed this long before it expires.
TOKEN_MARGIN_S = 60.0
# Between two renewals, if a source returns a token that is about to expire.
TOKEN_RENEWAL_S_MIN = 5.0
# A token that is refused again within this time after its renewal is not renewed again.
TOKEN_REJECTED_S = 10.0
CREDENTIAL_BYTES_MAX = 4_096

PAGE_SIZE = 100
