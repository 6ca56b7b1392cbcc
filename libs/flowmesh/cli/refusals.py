"""The exception of a command that cannot do what it was asked."""

from flowmesh.cli import exit_codes


class Refused(Exception):
    """The command cannot do what it was asked; one line says why, another what would help."""

    def __init__(self, text: str, hint: str = "", code: int = exit_codes.FAILED) -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint
        self.code = code
