"""Show the progress of a long step on standard error: stage, count and elapsed seconds.

A terminal has one line that is rewritten each second; a log gets a line every ten seconds.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

TERMINAL_S = 1.0
LOG_S = 10.0


class Progress:
    """Report until the block ends; `stage` and `failed` can be set at any time."""

    def __init__(self, what: str) -> None:
        self.stage = ""
        self.failed = False
        self._what = what
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._report, daemon=True)

    def __enter__(self) -> Self:
        self._show()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        self.stage = "failed" if self.failed or kind else "done"
        self._show()
        if sys.stderr.isatty():
            sys.stderr.write("\n")

    def _report(self) -> None:
        while not self._ended.wait(TERMINAL_S if sys.stderr.isatty() else LOG_S):
            self._show()

    def _show(self) -> None:
        seconds = time.monotonic() - self._began
        line = ": ".join(part for part in (self._what, self.stage) if part)
        line += f" ({seconds:.0f} s)" if seconds >= 1 else ""
        sys.stderr.write(f"\r\x1b[K{line}" if sys.stderr.isatty() else f"{line}\n")
        sys.stderr.flush()


def run(
    what: str,
    command: Sequence[str],
    stage_of: Callable[[str], str],
    environment: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Return exit code and output of a command; `stage_of` extracts a stage from a line, or ""."""
    lines: list[str] = []
    with (
        Progress(what) as progress,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            progress.stage = stage_of(line) or progress.stage
        if process.wait():
            progress.failed = True
    return process.returncode, "".join(lines)
