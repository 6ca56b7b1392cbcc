"""What gRPC is told by the environment in processes that are ours; read when gRPC is loaded."""

GRPC_ENVIRONMENT = {
    # It would comment on every child process that is started.
    "GRPC_ENABLE_FORK_SUPPORT": "0",
    "GRPC_VERBOSITY": "ERROR",
    # Its newer engine hands each message from thread to thread: see docs/decisions/0030.
    "GRPC_EXPERIMENTS": "-event_engine_client,-event_engine_listener",
}
