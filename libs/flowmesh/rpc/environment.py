"""Environment variables for gRPC in processes of Flowmesh; gRPC reads them when it is loaded."""

GRPC_ENVIRONMENT = {
    # Otherwise gRPC logs a line for every child process.
    "GRPC_ENABLE_FORK_SUPPORT": "0",
    "GRPC_VERBOSITY": "ERROR",
    # The newer event engine passes each message between threads: see docs/decisions/0030.
    "GRPC_EXPERIMENTS": "-event_engine_client,-event_engine_listener",
}
