"""Errors of a process.

StartError               the message is one line with a remedy
"""


class StartError(Exception):
    """The process cannot start; the message is one line with a remedy."""
