"""Turns off gRPC's fork handlers; to be imported before gRPC, which reads the setting when loaded.

With them, gRPC starts its threads again in every forked child, and a child that a task handler
starts sometimes dies of SIGSEGV before it runs its program.
"""

import os

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
