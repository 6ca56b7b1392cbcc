"""Distinguishes Ctrl-C from a KeyboardInterrupt that user code raises."""

import signal
import threading


def raise_ctrl_c(error: BaseException) -> None:
    """Re-raise `error` if it may be Ctrl-C, which must end the program.

    Only Python's default handler of SIGINT raises it in a handler; `Worker.run()` and
    `asyncio.run()` install their own.
    """
    if (
        isinstance(error, KeyboardInterrupt)
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ):
        raise error
