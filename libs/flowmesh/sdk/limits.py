"""Bounds and default times of the SDK, each with its unit; nothing is looked up at run time."""

STORED_BYTES_MAX = 64 * 1024 * 1024
CHUNK_BYTES = 512 * 1024

# A server takes 100 calls on a connection; a further connection is opened before that.
CONNECTION_CALLS = 80
CONNECTIONS_MAX = 32

CALL_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5.0
# One call with all its retries.
RETRY_BUDGET_S = 30.0
RETRY_ATTEMPTS_MAX = 300
RETRY_WAIT_INITIAL_S = 0.1
RETRY_WAIT_MAX_S = 2.0

# What a synchronous run waits by default.
RUN_TIMEOUT_S = 30.0
# The server answers a wait after at most five minutes; a shorter poll notices a lost peer sooner.
WAIT_POLL_MS = 30_000

# A stream that could not be opened again for this long gives up what waits on it.
RECONNECT_BUDGET_S = 60.0
# No attempt to open a stream takes so long.
STREAM_LASTED_S = 30.0

FRAME_BYTES_MAX = 1024 * 1024
FRAME_ITEMS_MAX = 1_000
SESSION_UNACKNOWLEDGED_MAX = 10_000
# A session whose starts are refused for being too many has at least so many on their way.
SESSION_WINDOW_MIN = 10
SESSION_FLUSH_S = 10.0

# How often a service says that it is there.
SERVICE_HEARTBEAT_S = 1.0

WORKER_SLOTS = 100
WORKER_SLOTS_MAX = 10_000
WORKER_THREADS_MAX = 256
WORKER_PROCESSES_MAX = 256
WORKER_PING_S = 3.0
WORKER_SILENCE_S = 10.0
WORKER_DRAIN_S = 10.0
WORKER_CANCEL_S = 1.0
WORKER_SPECS_MAX = 10_000
UNACKNOWLEDGED_RESULTS_MAX = 10_000
UNACKNOWLEDGED_BYTES_MAX = 8 * 1024 * 1024

# A durable handler that only waits leaves its worker after so long.
DURABLE_PATIENCE_S = 1.0
# What it asked for is sent again when nobody has answered for so long.
DURABLE_RESEND_S = 1.0
# What it may ask for in the message with which it leaves.
DURABLE_RIDING_BYTES_MAX = 64 * 1024

TRACEBACK_CHARS_MAX = 8_192
MESSAGE_CHARS_MAX = 4_096
HEARTBEAT_BYTES_MAX = 64 * 1024
# What a handler logs and measures, of one attempt.
NOTES_BYTES_MAX = 16 * 1024
NOTE_CHARS_MAX = 1_000

PAGE_SIZE = 100
