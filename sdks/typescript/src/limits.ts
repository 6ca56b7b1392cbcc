/** Limits and default times of clients and workers, each with its unit. */

export const INLINE_BYTES_MAX = 256 * 1024;
export const STORED_BYTES_MAX = 64 * 1024 * 1024;
export const CHUNK_BYTES = 512 * 1024;
export const MESSAGE_BYTES_MAX = 9 * 1024 * 1024;

/** A server accepts 100 calls per connection; further connections are opened before that. */
export const CONNECTION_CALLS = 80;
export const CONNECTIONS_MAX = 32;
export const CONNECTION_IDLE_MS = 60_000;
export const KEEPALIVE_MS = 20_000;
export const KEEPALIVE_TIMEOUT_MS = 10_000;

export const CALL_TIMEOUT_MS = 10_000;
export const CONNECT_TIMEOUT_MS = 5_000;
/** The longest time that a timer of the runtime can wait. */
export const TIMER_MAX_MS = 2 ** 31 - 1;
/** The longest deadline that gRPC can express in milliseconds: 8 digits. */
export const DEADLINE_MAX_MS = 99_999_999;
/** The total time of a call with its retries. */
export const RETRY_TOTAL_MS = 30_000;
export const RETRY_WAIT_MS = 100;
export const RETRY_WAIT_MAX_MS = 2_000;
/** Retries that all calls of a client may make in a row, and the share that a success returns. */
export const RETRY_TOKENS = 10;
export const RETRY_TOKENS_PER_SUCCESS = 0.1;

export const RUN_TIMEOUT_MS = 30_000;
/** The server ends a wait after five minutes; a shorter poll detects a lost server sooner. */
export const WAIT_POLL_MS = 30_000;

/** A stream is given up if it cannot be reopened for this long. */
export const RECONNECT_TOTAL_MS = 60_000;
/** A stream that lasts longer was connected; opening one takes less time. */
export const STREAM_LASTED_MS = 30_000;
export const STREAM_RETRY_MIN_MS = 100;
export const STREAM_RETRY_MAX_MS = 2_000;

export const FRAME_BYTES_MAX = 1024 * 1024;
export const FRAME_ITEMS_MAX = 1_000;
export const SESSION_STARTS_MAX = 10_000;
export const SESSION_WINDOW_MIN = 10;
export const SESSION_FLUSH_MS = 10_000;

export const WORKER_SLOTS = 100;
export const WORKER_SLOTS_MAX = 10_000;
export const WORKER_PING_MS = 3_000;
export const WORKER_SILENCE_MS = 10_000;
export const WORKER_DRAIN_MS = 10_000;
/** A canceled handler that does not end within this time is abandoned. */
export const WORKER_CANCEL_MS = 1_000;
export const WORKER_SPECS_MAX = 10_000;
export const RESULTS_MAX = 10_000;
export const RESULTS_BYTES_MAX = 8 * 1024 * 1024;
export const STACK_CHARS_MAX = 8_192;
export const MESSAGE_CHARS_MAX = 4_096;
export const HEARTBEAT_BYTES_MAX = 64 * 1024;
export const TASK_LOG_BYTES_MAX = 16 * 1024;
export const TASK_LOG_LINE_CHARS_MAX = 1_000;

export const SERVICE_HEARTBEAT_MS = 1_000;

export const TOKEN_MARGIN_MS = 60_000;
export const TOKEN_RENEWAL_MIN_MS = 5_000;
export const TOKEN_REJECTED_MS = 10_000;
export const TOKEN_TIMEOUT_MS = 10_000;
export const CREDENTIAL_BYTES_MAX = 4_096;
