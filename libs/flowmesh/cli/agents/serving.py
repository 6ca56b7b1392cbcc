"""`worker exec`: a worker whose tasks a command runs."""

import asyncio
import logging
import signal
from typing import Annotated

from cyclopts import Parameter

from flowmesh.cli import exit_codes
from flowmesh.cli.arguments import Texts
from flowmesh.cli.common import Reach, command, connected
from flowmesh.cli.refusals import Refused

SLOTS = 1
_REACH = Reach()


@command
async def serve(
    *run: Annotated[str, Parameter(help="The command, after --.")],
    task: Texts = None,
    queue: Texts = None,
    slots: int = 0,
    common: Reach = _REACH,
) -> None:
    """Run tasks by a command that reads and writes lines of JSON.

    The command gets {"task": {"input": …}} and writes {"result": …} or {"failure": {"class": …,
    "message": …}}, and {"progress": …} in between. Its standard error is the log of the task. It
    is started again for the next task if it ends. As an agent, the worker has the queues and slots
    of its spec by default.

    Args:
        task: Task type to serve; may be repeated.
        queue: Queue to serve; may be repeated.
        slots: Tasks, and so processes, at once; 1 by default.
    """
    from flowmesh.sdk import Worker
    from flowmesh.sdk.worker.attending import AgentEnvironment
    from flowmesh.sdk.worker.commands import CommandPool

    if not task:
        raise Refused("name the tasks by --task TYPE", code=exit_codes.USAGE)
    if not run:
        raise Refused("name the command after --", code=exit_codes.USAGE)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s  %(message)s")
    pool = CommandPool(run)
    async with connected(common) as client:
        worker = Worker(
            client,
            dict.fromkeys(task, pool.handle),
            queues=queue or (),
            slots=slots or AgentEnvironment.read().slots or SLOTS,
        )
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, worker.request_stop)
        try:
            await worker.run_async()
        finally:
            await pool.close()
