"""Tells Ctrl-C from a KeyboardInterrupt that user code raises."""

import signal
import threading


def raise_ctrl_c(error: BaseException) -> None:
    """Raises `error` again if it may be Ctrl-C, which is to end the program.

    That is so only where Python's own handler of SIGINT is installed: `Worker.run()` and
    `asyncio.run()` replace it and stop the program without an exception in a handler.
    """
    if (
        isinstance(error, KeyboardInterrupt)
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ):
        raise error
