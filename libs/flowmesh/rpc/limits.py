"""Limits of all gRPC servers and channels."""

# A definition of 8 MiB with its message.
MESSAGE_BYTES_MAX = 9 * 1024 * 1024
REQUEST_METADATA_BYTES_MAX = 8 * 1024
# Statuses with details stay below the limit of clients (8 KiB including headers).
STATUS_BYTES_MAX = 6 * 1024
STATUS_MESSAGE_CHARS_MAX = 1_000
RESPONSE_METADATA_BYTES_MAX = 64 * 1024
# Concurrent calls of a connection. Services use one connection for all calls; external callers
# open further ones, and excess calls wait at the caller.
SUITE_STREAMS_MAX = 10_000
PUBLIC_STREAMS_MAX = 100
CONCURRENT_CALLS_MAX = 20_000
# Both sides close a silent dead connection after the sum of these two.
KEEPALIVE_MS = 8_000
PING_TIMEOUT_MS = 10_000
HANDSHAKE_TIMEOUT_MS = 5_000
# The pause between connection attempts, and the timeout of one.
RECONNECT_MIN_MS = 100
RECONNECT_MAX_MS = 500
CONNECT_TIMEOUT_MS = 2_000
# A broken stream is reopened after a tenth of its downtime, within these limits.
STREAM_RETRY_MIN_S = 0.1
STREAM_RETRY_MAX_S = 1.0
DEFAULT_TIMEOUT_S = 10.0
# Instances that a call tries if the first ones are unreachable.
TARGETS_TRIED_MAX = 4
PAGE_TOKEN_CHARACTERS_MAX = 4_096
# Buffered messages of an in-process stream in one direction.
STREAM_MESSAGES_MAX = 64

Options = list[tuple[str, int | str]]

SERVER_OPTIONS: Options = [
    ("grpc.so_reuseport", 0),
    # It rejects streams within the limit while ended ones are still being cleaned up.
    ("grpc.http.overload_protection", 0),
    # The default cancels calls at random, without a reason, above 1,000 unread ones.
    ("grpc.server.max_pending_requests", CONCURRENT_CALLS_MAX),
    ("grpc.server.max_pending_requests_hard_limit", 2 * CONCURRENT_CALLS_MAX),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", -1),
    # Between the two limits gRPC rejects at random.
    ("grpc.max_metadata_size", REQUEST_METADATA_BYTES_MAX),
    ("grpc.absolute_max_metadata_size", REQUEST_METADATA_BYTES_MAX),
    ("grpc.server_handshake_timeout_ms", HANDSHAKE_TIMEOUT_MS),
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    # `grpc.keepalive_timeout_ms` has no effect on this timeout, whose default is a minute.
    ("grpc.http2.ping_timeout_ms", PING_TIMEOUT_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_MS // 2),
    ("grpc.http2.max_ping_strikes", 5),
]

CHANNEL_OPTIONS: Options = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", RESPONSE_METADATA_BYTES_MAX),
    ("grpc.absolute_max_metadata_size", RESPONSE_METADATA_BYTES_MAX),
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.http2.ping_timeout_ms", PING_TIMEOUT_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", RECONNECT_MIN_MS),
    # Despite its name, the timeout of one attempt including handshakes.
    ("grpc.min_reconnect_backoff_ms", CONNECT_TIMEOUT_MS),
    ("grpc.max_reconnect_backoff_ms", RECONNECT_MAX_MS),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
]
