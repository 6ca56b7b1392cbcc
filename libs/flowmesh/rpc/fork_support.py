"""Disables the fork handlers of gRPC. Import it before gRPC, which reads the setting when loaded.

The handlers restart the threads of gRPC in every forked child, and a child process of a task
handler sometimes dies of SIGSEGV before it executes its program.
"""

import os

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
