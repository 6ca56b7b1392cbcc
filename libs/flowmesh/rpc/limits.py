"""Bounds of every gRPC server and channel, set on purpose in one place."""

# A definition of 8 MiB and the message around it.
MESSAGE_BYTES_MAX = 9 * 1024 * 1024
REQUEST_METADATA_BYTES_MAX = 8 * 1024
# Rich statuses of ours stay below what any client accepts (8 KiB with the headers around them).
STATUS_BYTES_MAX = 6 * 1024
STATUS_MESSAGE_CHARS_MAX = 1_000
RESPONSE_METADATA_BYTES_MAX = 64 * 1024
# Of one connection. Between the suite's services one connection carries all there is; callers
# open further ones, so that what is too much waits with them and not at the door.
SUITE_STREAMS_MAX = 10_000
PUBLIC_STREAMS_MAX = 100
CONCURRENT_CALLS_MAX = 20_000
# A connection that went dead without a word is given up, on both sides, after both together.
KEEPALIVE_MS = 8_000
PING_TIMEOUT_MS = 10_000
HANDSHAKE_TIMEOUT_MS = 5_000
# Between two attempts to connect, and for one of them.
RECONNECT_MIN_MS = 100
RECONNECT_MAX_MS = 500
CONNECT_TIMEOUT_MS = 2_000
# A stream that broke is opened again after a tenth of the time it has been away, within these.
STREAM_RETRY_MIN_S = 0.1
STREAM_RETRY_MAX_S = 1.0
DEFAULT_TIMEOUT_S = 10.0
# Instances that a call tries when the first ones cannot be reached.
TARGETS_TRIED_MAX = 4
PAGE_TOKEN_CHARACTERS_MAX = 4_096
# Messages of an in-process stream that wait in one direction.
STREAM_MESSAGES_MAX = 64

Options = list[tuple[str, int | str]]

SERVER_OPTIONS: Options = [
    ("grpc.so_reuseport", 0),
    # It would refuse streams of clients that keep to the bound, while ended ones are cleared up.
    ("grpc.http.overload_protection", 0),
    # Above 1,000 unread calls gRPC would otherwise cancel some at random, without a reason.
    ("grpc.server.max_pending_requests", CONCURRENT_CALLS_MAX),
    ("grpc.server.max_pending_requests_hard_limit", 2 * CONCURRENT_CALLS_MAX),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", REQUEST_METADATA_BYTES_MAX),
    ("grpc.absolute_max_metadata_size", 2 * REQUEST_METADATA_BYTES_MAX),
    ("grpc.server_handshake_timeout_ms", HANDSHAKE_TIMEOUT_MS),
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    # What `grpc.keepalive_timeout_ms` is named for and does not do: a minute without this.
    ("grpc.http2.ping_timeout_ms", PING_TIMEOUT_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_MS // 2),
    ("grpc.http2.max_ping_strikes", 5),
]

CHANNEL_OPTIONS: Options = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", RESPONSE_METADATA_BYTES_MAX),
    ("grpc.absolute_max_metadata_size", 2 * RESPONSE_METADATA_BYTES_MAX),
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.http2.ping_timeout_ms", PING_TIMEOUT_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", RECONNECT_MIN_MS),
    # Named for something else: it bounds one attempt, handshakes included.
    ("grpc.min_reconnect_backoff_ms", CONNECT_TIMEOUT_MS),
    ("grpc.max_reconnect_backoff_ms", RECONNECT_MAX_MS),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
]
