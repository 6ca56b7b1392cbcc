"""Failures of runs in the sandbox."""


class SandboxFailure(Exception):
    """The code did not yield a result.

    `class_` is Timeout, ResourceLimit (memory, size of the result, or the process died), Cancelled
    (the sandbox is closing), or the name of the thrown exception (`TypeError`, `SyntaxError`,
    `Error`). The message is for the user; `log` is the text printed before the failure.
    """

    def __init__(self, class_: str, message: str, log: str = "") -> None:
        super().__init__(f"{class_}: {message}")
        self.class_ = class_
        self.message = message
        self.log = log
