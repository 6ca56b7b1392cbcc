"""Applications that call out, in a process like that of a hosted application.

    python -m tests.hostile.calls.calling_out < JSON

The JSON has the egress policy, and by name the applications with their files, variables, and the
request that makes them call. Prints all that each of them says of its calls.
"""

import asyncio
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from flowmesh.apps.offline.calling import request_of
from flowmesh.apps.release_process.checking import policy_of
from flowmesh.apps.release_process.conversation import Begin
from flowmesh.apps.release_process.process import built, cause_of, check_health
from flowmesh.apps.runtime.application import Application
from flowmesh.egress.wall import Wall
from flowmesh.errors import FlowmeshError
from flowmesh.testing.polling import until

Json = dict[str, Any]

THREADS = 64
# Drivers try again for as long as they are left alone.
CASE_S = 8.0


def main() -> None:
    given = json.load(sys.stdin)
    cases = {name: (each, begun(each, given)) for name, each in given["cases"].items()}
    public = given["egress"] == "public"
    wall = Wall(policy_of(next(begin for _, begin in cases.values())))
    wall.build()
    with asyncio.Runner(loop_factory=wall.loop_factory()) as runner:
        said = runner.run(drive(cases, wall, at_once=not public))
    sys.stdout.write(json.dumps(said))
    sys.stdout.flush()
    # Threads of drivers that still try are not waited for.
    os._exit(0)


def begun(case: Json, given: Json) -> Begin:
    """Return the begin of a release in a folder of its own."""
    folder = Path(mkdtemp())
    (folder / "data").mkdir()
    for name, text in case["files"].items():
        (folder / name).write_text(text)
    return Begin(
        app="x",
        document=str(folder / "app.yaml"),
        data=str(folder / "data"),
        environment=case["environment"],
        memory_bytes=0,
        files_max=0,
        egress=given["egress"],
        egress_allow=given["allowed"],
        closed=True,
    )


async def drive(
    cases: dict[str, tuple[Json, Begin]], wall: Wall, *, at_once: bool
) -> dict[str, str]:
    """Run all applications; not at once where the wall counts the calls of each."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    running = []
    for case, begin in cases.values():
        running.append(asyncio.create_task(told(case, begin, wall)))
        # Imports of a driver are not part of the time of another one.
        await (asyncio.sleep(0) if at_once else asyncio.wait(running))
    return dict(zip(cases, await asyncio.gather(*running), strict=True))


async def told(case: Json, begin: Begin, wall: Wall) -> str:
    """Return the refusal of an application, or its answer, and its log."""
    lines: list[bytes] = []
    wall.blocked = 0
    try:
        app = built(begin, lines.append)
        async with asyncio.timeout(CASE_S):
            answer = await answered(app, case, lines)
    except TimeoutError:
        answer = "no answer"
    except FlowmeshError as error:
        cause = cause_of(error, wall)
        answer = f"{cause.reason}: {cause.message} {cause.violations}"
    return f"{answer}\n{b''.join(lines).decode()}"


async def answered(app: Application, case: Json, lines: list[bytes]) -> str:
    """Start an application as its process does, and call it. Raises its refusal."""
    await app.start(listen=False)
    try:
        await check_health(app)
        if case["call"] is None:
            return ""
        method, path, body = case["call"]
        headers = ["content-type: application/json", f"cookie: {case['cookie']}"]
        request = request_of(method, path, headers, body.encode())
        response = await app.call(request)

        async def logged() -> bool:
            return case["logs"].encode() in b"".join(lines)

        await until("the end of the call", logged, within_s=CASE_S)
        return f"{response.status} {response.body.decode(errors='replace')}"
    finally:
        await app.stop()


if __name__ == "__main__":
    main()
