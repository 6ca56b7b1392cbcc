"""The text that `flowmesh dev` prints once everything runs."""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Any

from flowmesh import core
from flowmesh.embedded import EmbeddedServers
from flowmesh.runtime import Process

TRY = """\
  {curl} -s {http}/api/v1/workflows -H 'content-type: application/yaml' --data-binary '
  apiVersion: workflow.io/v1
  kind: Workflow
  metadata: {{name: hello}}
  spec:
    tasks:
      - id: shout
        taskRef: transform
        input: {{source: "Hello {{{{input.name}}}}", pipeline: [{{operation: uppercase}}]}}
    output: {{said: "{{{{tasks.shout.output}}}}"}}
  '
  {curl} -s {http}/api/v1/workflows/hello/execute -H 'content-type: application/json' \\
    -d '{{"input": {{"name": "Ada"}}}}'"""


@dataclass(frozen=True, slots=True)
class Kept:
    """The data of a suite: whether it is temporary, and the certificate of its authority."""

    ephemeral: bool
    authority: str = ""


def dev_banner(
    process: Process,
    servers: EmbeddedServers,
    away: Container[str],
    processes: Iterable[dict[str, Any]],
    data: Kept,
    *,
    took_s: float,
) -> str:
    """Return the addresses and their state, the places of the data, and a first command."""
    settings = process.settings
    http = f"{process.scheme}://{settings.host}:{process.http_port}"
    folder = settings.data_dir
    kept = "removed at exit" if data.ephemeral else "kept"
    own = servers.pids()

    def place(name: str) -> str:
        where = f"{folder}/{name}" if name in own else "given address"
        return f"{where}, does not answer yet" if name in away else where

    rows = (
        ("console", f"{http}/console", "the web page"),
        ("REST and events", http, f"reference {http}/swagger"),
        ("gRPC", process.address, "all services, with reflection"),
        *((row["name"], row["grpc"], f"pid {row['pid']}, {row['http']}") for row in processes),
        ("health, metrics", f"{http}/ready  {http}/metrics", ""),
        ("execution core", core.kind(), ""),
        ("PostgreSQL", place("postgres"), "definitions, executions, history, payloads"),
        ("NATS JetStream", place("nats"), "events of the last 24 hours"),
        ("Redis", place("redis"), "service instances; no durable data"),
        ("logs of servers", f"{folder}/logs", ""),
        *([("CA certificate", data.authority, "trusted by clients")] if data.authority else []),
        ("addresses, pids", f"{folder}/dev.json", ""),
    )
    lines = [f"Flowmesh is ready after {took_s:.1f} s. Data: {folder} ({kept}).", ""]
    lines += [f"  {name:<16} {where}{'   ' + what if what else ''}" for name, where, what in rows]
    curl = f"curl --cacert {data.authority}" if data.authority else "curl"
    lines += ["", "Try:", TRY.format(http=http, curl=curl), "", "Ctrl-C stops everything."]
    return "\n".join(lines)
