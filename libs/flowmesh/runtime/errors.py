"""Errors of a process.

StartError               the message is one line with a remedy
ConnectionError
└── ExportFailed         a receiver did not accept metrics
"""


class StartError(Exception):
    """The process cannot start; the message is one line with a remedy."""


class ExportFailed(ConnectionError):
    """The receiver did not accept the metrics."""
