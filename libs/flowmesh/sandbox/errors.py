"""Failures of runs in the sandbox."""


class SandboxFailure(Exception):
    """The code did not yield a result.

    `class_` is Timeout, ResourceLimit (memory, size of the result, or the process died), Cancelled
    (the sandbox is closing), or the name of the thrown exception (`TypeError`, `SyntaxError`,
    `Error`). The message is for the user; `log` is the text printed before the failure, `reason`
    is CPU_LIMIT if a limit of CPU time was exceeded.
    """

    def __init__(self, class_: str, message: str, log: str = "", reason: str = "") -> None:
        super().__init__(f"{class_}: {message}")
        self.class_ = class_
        self.message = message
        self.log = log
        self.reason = reason


def out_of_cpu(message: str, log: str = "") -> SandboxFailure:
    """Return the failure of code that exceeds a limit of CPU time."""
    return SandboxFailure("ResourceLimit", message, log, "CPU_LIMIT")
