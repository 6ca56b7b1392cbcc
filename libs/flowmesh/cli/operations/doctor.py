"""`doctor`: checks of this machine and of the suite at the address."""

import asyncio
import errno
import itertools
import os
import shutil
import socket
import sys
import urllib.parse
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from flowmesh import core
from flowmesh.cli import exit_codes, output
from flowmesh.cli.common import COMMON, CONNECT_TIMEOUT_S, Common, command
from flowmesh.cli.operations.configuration import current_settings
from flowmesh.cli.operations.guarantees import QueryFailed, query_postgres
from flowmesh.cli.targets import unreachable_reason
from flowmesh.contract.nouns import counted
from flowmesh.extras import install_command

if TYPE_CHECKING:
    from flowmesh.runtime.settings import Settings

Verdict = Literal["ok", "warning", "failed"]
DISK_BYTES_MIN = 1024**3
DISK_BYTES_LOW = 5 * 1024**3
CLOCK_SKEW_S_MAX = 5.0
# The longest interval of heartbeats; an older heartbeat is no evidence of a wrong clock.
HEARTBEAT_AGE_S_MAX = 10.0
DEFAULT_PORTS = {"postgresql": 5432, "nats": 4222, "tls": 4222, "redis": 6379, "rediss": 6379}


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check, with a remedy."""

    check: str
    verdict: Verdict
    text: str
    hint: str = ""


@command
async def doctor(*, data_dir: str = "", common: Common = COMMON) -> int:
    """Check ports, disk, servers and their durability, clock, and the suite at the address.

    Exit code 1 if a check fails.

    Args:
        data_dir: Data folder to check; that of the settings by default.
    """
    settings = current_settings()
    findings = [
        python_version(),
        disk(Path(data_dir or settings.data_dir)),
        folder(Path(data_dir or settings.data_dir)),
    ]
    findings += await walls()
    running = await suite(common)
    findings += running
    is_running = running[0].verdict == "ok"
    findings += [
        port("gRPC", settings.host, settings.grpc_port, is_running),
        port("HTTP", settings.host, settings.http_port, is_running),
    ]
    for name, address in servers(settings).items():
        found = await server(name, address)
        findings.append(found)
        if name == "PostgreSQL" and address and found.verdict != "failed":
            findings.append(await durability(address))
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
    """Report the versions of Python and of the execution core."""
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", "ok", f"{version}, core: {core.kind()}")


def disk(path: Path) -> Finding:
    """Check the free space of the data folder."""
    existing = _existing(path)
    free = shutil.disk_usage(existing).free
    text = f"{free / 1024**3:.1f} GiB free at {existing}"
    if free < DISK_BYTES_MIN:
        return Finding("disk", "failed", text, "free some space, or set another --data-dir")
    if free < DISK_BYTES_LOW:
        return Finding("disk", "warning", text, "history grows with every execution")
    return Finding("disk", "ok", text)


def folder(path: Path) -> Finding:
    """Check that this user can write to the data folder."""
    existing = _existing(path)
    if not os.access(existing, os.W_OK | os.X_OK):
        return Finding("data folder", "failed", f"{existing} is not writable", "set --data-dir")
    return Finding("data folder", "ok", str(path))


async def walls() -> list[Finding]:
    """Report which walls around hosted applications stand on this host."""
    from flowmesh.walls.probing import probe

    report = await probe()
    hint = "" if report.enough else "closed installations host no applications here"
    return [
        Finding(
            f"wall {wall.name}",
            "ok" if wall.stands or report.enough else "warning",
            wall.text if wall.stands else f"missing: {wall.text}",
            "" if wall.stands else hint,
        )
        for wall in report.found
    ]


def _existing(path: Path) -> Path:
    path = path.absolute()
    return next(parent for parent in (path, *path.parents) if parent.exists())


def port(name: str, host: str, number: int, is_running: bool) -> Finding:
    """Check that a port is free, or used by the suite at the address."""
    check = f"{name} port"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, number))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return Finding(check, "failed", f"{host}:{number}: {error.strerror}")
            if is_running:
                return Finding(check, "ok", f"{host}:{number} is used by the suite")
            hint = f"stop that process, or set --{name.lower()}-port"
            return Finding(check, "failed", f"{host}:{number} is used by another process", hint)
    return Finding(check, "ok", f"{host}:{number} is free")


def servers(settings: "Settings") -> dict[str, str]:
    """Return the addresses of the three servers; "" if the suite starts its own server."""
    return {"PostgreSQL": settings.postgres, "NATS": settings.nats, "Redis": settings.redis}


async def server(name: str, address: str) -> Finding:
    """Check that a configured server responds, or that an own server is installed.

    Of several configured servers, one must respond.
    """
    if not address:
        return installed(name)
    try:
        found = places(address)
    except ValueError as error:
        return Finding(name, "failed", f"invalid address: {error}")
    responses = await asyncio.gather(*map(_responds, found))
    silent = [place for place, responded in zip(found, responses, strict=True) if not responded]
    if not silent:
        return Finding(name, "ok", f"{', '.join(found)} responds")
    text = f"no response from {', '.join(silent)}"
    verdict: Verdict = "warning" if any(responses) else "failed"
    return Finding(name, verdict, text, "check that it is running and reachable")


def places(address: str) -> list[str]:
    """Return the servers of an address, as `host:port` or as paths of sockets.

    Raises ValueError for an invalid port.
    """
    parts = urllib.parse.urlsplit(address)
    default = DEFAULT_PORTS.get(parts.scheme, 0)
    hosts = parts.netloc.rpartition("@")[2]
    query = urllib.parse.parse_qs(parts.query)
    if parts.scheme in ("nats", "tls"):
        urls = [one if "://" in one else f"nats://{one}" for one in address.split(",")]
    elif hosts:
        urls = [f"{parts.scheme}://{host}" for host in hosts.split(",")]
    elif "host" in query:
        folders, ports = (query.get(key, [""])[0].split(",") for key in ("host", "port"))
        pairs = itertools.zip_longest(folders, ports, fillvalue=ports[-1])
        return [f"{folder}/.s.PGSQL.{number or default}" for folder, number in pairs]
    else:
        return [parts.path]
    found = map(urllib.parse.urlsplit, urls)
    return [f"{one.hostname}:{one.port or default}" for one in found]


def installed(name: str) -> Finding:
    """Check that the server that `dev` starts is installed."""
    from flowmesh.embedded import EmbeddedError
    from flowmesh.embedded.binaries import nats_server, postgres_bin, redis_server

    find = {"PostgreSQL": postgres_bin, "NATS": nats_server, "Redis": redis_server}[name]
    try:
        find()
    except EmbeddedError:
        hint = f"{install_command('dev')}, or set FLOWMESH_{_variable(name)}"
        return Finding(name, "failed", "not installed, and no address is set", hint)
    return Finding(name, "ok", "`flowmesh dev` starts its own server")


def _variable(name: str) -> str:
    return {"PostgreSQL": "POSTGRES"}.get(name, name.upper())


async def durability(address: str) -> Finding:
    """Check that a configured PostgreSQL accepts connections and has durable commits."""
    from flowmesh.storage import unsafe

    try:
        settings = await query_postgres(address)
    except QueryFailed as error:
        hint = "check user, password and database in FLOWMESH_POSTGRES"
        return Finding("durability", "failed", f"the query to PostgreSQL failed: {error}", hint)
    text = ", ".join(f"{name} {value}" for name, value in settings.items())
    if off := unsafe(settings):
        statements = "; ".join(f"alter system set {name} = on" for name in off)
        hint = f"a crash may lose commits; run {statements}"
        return Finding("durability", "warning", text, hint)
    return Finding("durability", "ok", text)


async def _responds(place: str) -> bool:
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
    """Check the suite at the address: its response, its instances, and its clock."""
    from flowmesh.errors import FlowmeshError, Unavailable

    where = common.target.address
    async with common.target.client() as client:
        try:
            await client.ready(CONNECT_TIMEOUT_S)
        except Unavailable:
            text, hint = await asyncio.to_thread(unreachable_reason, where)
            return [Finding("suite", "warning", text, hint)]
        try:
            instances = [instance async for instance in client.services()]
        except FlowmeshError as error:
            hint = "check that the suite runs a registry"
            return [Finding("suite", "failed", f"{where.value}: {error.message}", hint)]
    found = [
        Finding("suite", "ok", f"{where.value} responds, {counted(len(instances), 'instance')}")
    ]
    found += [
        Finding(instance.name, "warning", f"{instance.id} is {instance.status}")
        for instance in instances
        if instance.status in ("UNHEALTHY", "DEGRADED")
    ]
    beats = [i.heartbeat_at for i in instances if i.status == "HEALTHY" and i.heartbeat_at]
    if beats:
        found.append(clock(max(beats), output.now()))
    return found


def clock(last_heartbeat: datetime, now: datetime) -> Finding:
    """Compare the clock of the suite, from a recent heartbeat, with that of this machine."""
    ahead_s = (last_heartbeat - now).total_seconds()
    if ahead_s > CLOCK_SKEW_S_MAX or ahead_s < -(CLOCK_SKEW_S_MAX + HEARTBEAT_AGE_S_MAX):
        word = "ahead of" if ahead_s > 0 else "behind"
        text = f"the suite is {abs(ahead_s):.0f} s {word} this machine"
        return Finding("clock", "warning", text, "synchronize both with NTP")
    return Finding("clock", "ok", "synchronized with the suite")
