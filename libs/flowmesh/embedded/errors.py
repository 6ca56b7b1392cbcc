"""Errors of the embedded servers.

EmbeddedError            the message is one line and says what to do
├── DataDirLocked        another process uses the data directory; its pid is in the message
└── ServerFailed         a server did not become ready; its last log lines are in the message
"""


class EmbeddedError(Exception):
    """Something about the embedded servers that a person has to mend."""


class DataDirLocked(EmbeddedError):
    """The data directory is in use."""

    def __init__(self, path: str, pid: int) -> None:
        super().__init__(
            f"{path} is in use by process {pid}; stop it, or choose another with --data-dir"
        )
        self.pid = pid


class ServerFailed(EmbeddedError):
    """A server did not come up."""
