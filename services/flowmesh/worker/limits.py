"""Every bound of the worker service, with its unit."""

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
# A result waits so long for its own orchestrator before another one is asked, and so long
# before all are asked again when each has said that it is not the owner.
ORCHESTRATOR_AWAY_MS = 2_000
MOVED_RETRY_MS = 500

# remote workers
WORKER_SLOTS_MAX = 10_000
WORKER_LABELS_MAX = 64
WORKER_NAMES_MAX = 100
# Results of one worker that wait for an acknowledgement.
WORKER_RESULTS_MAX = 20_000
# What runs, and results that were not acknowledged.
HELD_TOKENS_MAX = WORKER_SLOTS_MAX + WORKER_RESULTS_MAX
WORKER_SILENCE_MS = 10_000
REATTACH_GRACE_MS = 500

# The process as a whole has 7 s for such work of all its services, 5 s for each.
DRAIN_MS = 4_000
# After the drain: for the last frames to leave.
FINISH_MS = 500
TICK_MS = 250
