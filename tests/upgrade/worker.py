"""A worker of the release before: writes a line for each task that it runs, with its key."""

import sys
import threading
from pathlib import Path
from typing import Any

from flowmesh.sdk import Worker

address, effects = sys.argv[1], Path(sys.argv[2])
worker = Worker(address, slots=4)


@worker.task("pack")
def pack(value: Any, context: Any) -> Any:
    threading.Event().wait(0.2)  # long enough for an upgrade to begin
    with effects.open("a") as file:
        file.write(f"{value['order']} {value['step']} {context.idempotency_key}\n")
    return value


if __name__ == "__main__":
    worker.run()
