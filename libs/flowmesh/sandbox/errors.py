"""How a run in the sandbox fails."""


class SandboxFailure(Exception):
    """The code did not yield a result.

    `class_` is Timeout (its time was up), ResourceLimit (memory, size of the result, or the
    process died), Cancelled (the sandbox is closing), or the name of the exception the code threw
    (`TypeError`, `SyntaxError`, `Error`). The message is for the user; `log` is what the code
    printed before it failed.
    """

    def __init__(self, class_: str, message: str, log: str = "") -> None:
        super().__init__(f"{class_}: {message}")
        self.class_ = class_
        self.message = message
        self.log = log
