"""Child processes of programs that use the SDK."""

import os
import subprocess
import sys

FORKS = """
import asyncio, os
{imports}

async def main():
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{{port}}") as channel:
        await channel.channel_ready()
        read, write = os.pipe()
        if os.fork() == 0:
            os.write(write, str(len(os.listdir("/proc/self/task"))).encode())
            os._exit(0)
        print(os.read(read, 10).decode())
        os.wait()

asyncio.run(main())
"""


def threads_of_a_child(imports: str) -> int:
    """Return the number of threads of a child that a program with a channel forks."""
    environment = {**os.environ}
    environment.pop("GRPC_ENABLE_FORK_SUPPORT", None)
    done = subprocess.run(
        (sys.executable, "-c", FORKS.format(imports=imports)),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=environment,
    )
    return int(done.stdout)


def test_grpc_starts_no_thread_in_a_child_process() -> None:
    """With the SDK a forked child has one thread; with gRPC alone it has those of gRPC too."""
    assert threads_of_a_child("import flowmesh.sdk, grpc") == 1
    assert threads_of_a_child("import grpc, flowmesh.sdk") > 1
