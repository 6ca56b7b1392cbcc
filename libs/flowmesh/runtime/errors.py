"""Errors of a process.

StartError               the message is one line and says what to do
"""


class StartError(Exception):
    """The process cannot start; one line that says what to do."""
