"""The error of a command that cannot be executed."""

from flowmesh.cli import exit_codes


class Refused(Exception):
    """A command that cannot be executed: the problem in `text`, a remedy in `hint`."""

    def __init__(self, text: str, hint: str = "", code: int = exit_codes.FAILED) -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint
        self.code = code
