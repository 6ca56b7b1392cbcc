"""The bounds of the worker service, with their units."""

# payloads
STORED_PAYLOAD_BYTES_MAX = 64 * 1024 * 1024
CHUNK_BYTES = 1024 * 1024
PAYLOAD_TRIES = 3
PAYLOAD_RETRY_MS = 200

# streams to orchestrators
UNACKNOWLEDGED_RESULTS_MAX = 1_000
UNACKNOWLEDGED_BYTES_MAX = 8 * 1024 * 1024
FRAME_BYTES_MAX = 1024 * 1024
SPECS_PER_STREAM_MAX = 10_000
PING_AFTER_MS = 3_000
RECALL_ANSWER_MS = 1_000
# Time that a result waits for its own orchestrator before others are tried, and before all are
# tried again after each has refused it as not the owner.
ORCHESTRATOR_AWAY_MS = 2_000
MOVED_RETRY_MS = 500

# remote workers
WORKER_SLOTS_MAX = 10_000
WORKER_LABELS_MAX = 64
WORKER_NAMES_MAX = 100
# Unacknowledged results of one worker.
WORKER_RESULTS_MAX = 20_000
# Running tasks and unacknowledged results.
HELD_TOKENS_MAX = WORKER_SLOTS_MAX + WORKER_RESULTS_MAX
WORKER_SILENCE_MS = 10_000
# Tasks of remote workers whose results are searched for the secrets that they received.
TASKS_WITH_SECRETS_MAX = 10_000
SECRETS_MS = 30_000
REATTACH_GRACE_MS = 500

# The process has 7 s to drain all of its services, 5 s for each.
DRAIN_MS = 4_000
# Time after the drain in which the last frames are sent.
FINISH_MS = 500
TICK_MS = 250
