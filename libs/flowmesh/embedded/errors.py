"""Errors of the embedded servers.

EmbeddedError            the message is one line with the remedy
├── DataDirLocked        another process uses the data directory; its pid is in the message
└── ServerFailed         a server did not become ready; its last log lines are in the message
"""


class EmbeddedError(Exception):
    """A problem of the embedded servers that the user must resolve."""


class DataDirLocked(EmbeddedError):
    """The data directory is in use."""

    def __init__(self, path: str, pid: int) -> None:
        super().__init__(
            f"{path} is in use by process {pid}; stop it, or choose another with --data-dir"
        )
        self.pid = pid


class ServerFailed(EmbeddedError):
    """A server did not become ready."""
