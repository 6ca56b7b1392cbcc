"""Applications beside FastAPI in one run: A1 to A3 and A5.

`python -m benchmarks.apps.requests [--seconds N]` needs `wrk`, and makes an environment of its own
for FastAPI in build/. Metrics of a shared machine are noise; the ratios of one run count.
"""

import argparse
import asyncio
import contextlib
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import asyncpg

from benchmarks.load import Metrics
from flowmesh.embedded import EmbeddedServers
from flowmesh.embedded.ports import free_port

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PEER = ROOT / "build" / "benchmarks" / "apps"
PACKAGES = ("fastapi", "uvicorn[standard]", "aiosqlite", "asyncpg")
ROWS = 10_000
CONNECTIONS = (1, 32, 256)
CHECKED = 100_000
COMPARED = 32
COLUMNS = "name TEXT NOT NULL, price DOUBLE PRECISION"
READ_LUA = """\
request = function()
  local id = math.random(1, 10000)
  return wrk.format("GET", "/api/items/" .. id)
end
"""
WRITE_LUA = """\
wrk.method = "POST"
wrk.body = '{"name": "a", "price": 1.5}'
wrk.headers["Content-Type"] = "application/json"
"""


def fill_sqlite(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"CREATE TABLE items (id INTEGER PRIMARY KEY, {COLUMNS})")
        rows = ((f"item {number}", number * 1.5) for number in range(ROWS))
        connection.executemany("INSERT INTO items (name, price) VALUES (?, ?)", rows)


async def fill_postgres(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(f"CREATE TABLE items (id SERIAL PRIMARY KEY, {COLUMNS})")
    rows = [(f"item {number}", number * 1.5) for number in range(ROWS)]
    await connection.executemany("INSERT INTO items (name, price) VALUES ($1, $2)", rows)
    await connection.close()


def peer_python() -> Path:
    """Return the interpreter of FastAPI's environment; make it at the first call."""
    python = PEER / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", PEER], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True)
    return python


@contextlib.contextmanager
def serving(
    kind: str, dsn: str, *, document: str = "app.yaml", path: str = "/api/items/1"
) -> Iterator[tuple[str, float, int]]:
    """Run a server; yield its address, the seconds to its first answer, and its process id."""
    port = free_port()
    environment = {**os.environ, "DATABASE": dsn, "PORT": str(port)}
    environment["DRIVER"] = "postgres" if dsn.startswith("postgres") else "sqlite"
    if kind == "flowmesh":
        code = "from flowmesh.suite.main import main; main()"
        command = [sys.executable, "-c", code, "app", "run", str(HERE / document)]
    else:
        command = [str(peer_python()), "-m", "uvicorn", "peer:app", "--port", str(port)]
        command += ["--no-access-log", "--log-level", "warning"]
    begun = time.perf_counter()
    with subprocess.Popen(
        command, cwd=HERE, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            while True:
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(url + path, timeout=1)
                    break
                if process.poll() is not None or time.perf_counter() - begun > 60:
                    sys.exit(f"{kind} did not start")
                time.sleep(0.01)
            yield url, time.perf_counter() - begun, process.pid
        finally:
            process.terminate()
            process.wait(30)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used, a figure that a busy machine changes little."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Load:
    """The figures of one load: requests per second, times in ms, CPU per request in µs."""

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    errors: str

    def __str__(self) -> str:
        times = f"p50 {self.p50_ms:>8.2f} ms p99 {self.p99_ms:>8.2f} ms"
        return f"{self.rate:>9.0f}/s {times} CPU {self.cpu_us:>5.0f} µs {self.errors}"


def matched(pattern: str, text: str) -> str:
    """Return the group of a pattern in the output of wrk."""
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        sys.exit(f"wrk printed nothing like {pattern}:\n{text}")
    return found[1]


def milliseconds(text: str) -> float:
    """Return a time of wrk, such as 812.00us or 1.20s."""
    for unit, factor in (("us", 0.001), ("ms", 1.0), ("m", 60_000.0), ("s", 1_000.0)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    sys.exit(f"{text} is not a time")


def measured(url: str, path: str, lua: Path, connections: int, seconds: int, pid: int) -> Load:
    """Return the figures of one load."""
    before = cpu_seconds(pid)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(lua)]
    text = subprocess.run([*command, url + path], capture_output=True, text=True, check=True).stdout
    used = cpu_seconds(pid) - before
    count = int(matched(r"(\d+) requests in", text))
    return Load(
        rate=float(matched(r"Requests/sec:\s+([\d.]+)", text)),
        p50_ms=milliseconds(matched(r"^\s+50%\s+(\S+)", text)),
        p99_ms=milliseconds(matched(r"^\s+99%\s+(\S+)", text)),
        cpu_us=used / max(1, count) * 1_000_000,
        errors=" ".join(re.findall(r"Non-2xx or 3xx responses: \d+|Socket errors: .*", text)),
    )


def compare(
    goal: str, title: str, path: str, lua: Path, dsns: dict[str, str], seconds: int
) -> Metrics:
    """Print the loads of both servers, and return their rates at 32 connections."""
    print(f"\n{goal}: {title}", flush=True)
    found: Metrics = {}
    for kind, dsn in dsns.items():
        with serving(kind, dsn) as (url, first, pid):
            print(f"  {kind}: first answer after {first:.2f} s")
            found[f"{goal}_{kind}_start_s"] = first
            failed = 0
            for connections in CONNECTIONS:
                load = measured(url, path, lua, connections, seconds, pid)
                print(f"  {kind:>9} {connections:>4} connections {load}", flush=True)
                failed += bool(load.errors)
                if connections == COMPARED:
                    found[f"{goal}_{kind}_per_s"] = load.rate
            found[f"{goal}_{kind}_loads_with_errors"] = failed
    return found


async def wrong_answers(dsn: str) -> Metrics:
    """Return how many of 100,000 answers at 256 connections are not of the row asked for."""
    wrong, numbers = 0, iter(range(CHECKED))
    with serving("flowmesh", dsn) as (url, _, _):
        connector = aiohttp.TCPConnector(limit=max(CONNECTIONS))
        async with aiohttp.ClientSession(connector=connector) as session:

            async def ask() -> None:
                nonlocal wrong
                for number in numbers:
                    id = 1 + number * 7_919 % ROWS
                    async with session.get(f"{url}/api/items/{id}") as answer:
                        body = await answer.json()
                    wrong += (body["id"], body["name"]) != (id, f"item {id - 1}")

            await asyncio.gather(*(ask() for _ in range(max(CONNECTIONS))))
    print(f"A1: {wrong} wrong of {CHECKED:,} answers at {max(CONNECTIONS)} connections", flush=True)
    return {"A1_wrong": wrong}


async def run(folder: Path, seconds: int) -> Metrics:
    """Print and return the figures of A1, A2, A3 and A5."""
    read, write = folder / "read.lua", folder / "write.lua"
    read.write_text(READ_LUA)
    write.write_text(WRITE_LUA)
    files = {}
    for kind in ("flowmesh", "fastapi"):
        path = folder / f"{kind}.db"
        fill_sqlite(path)
        files[kind] = str(path)
    found = compare("A1", "GET by id, SQLite", "/api/items/1", read, files, seconds)
    found |= await wrong_answers(files["flowmesh"])
    found |= compare("A2", "POST and commit, SQLite", "/api/items", write, files, seconds)
    async with EmbeddedServers(folder / "servers") as servers:
        await fill_postgres(servers.postgres)
        both = dict.fromkeys(files, servers.postgres)
        return found | await asyncio.to_thread(
            compare, "A3", "GET by id, PostgreSQL", "/api/items/1", read, both, seconds
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5, help="length of each load")
    given = parser.parse_args()
    require_wrk()
    peer_python()
    with tempfile.TemporaryDirectory(prefix="flowmesh-apps-") as folder:
        asyncio.run(run(Path(folder), given.seconds))


def require_wrk() -> None:
    """End the program if wrk is not installed."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")


if __name__ == "__main__":
    main()
