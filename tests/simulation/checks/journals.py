"""I3 and I6 of the journals of durable handlers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from flowmesh.api.execution.v1.execution_pb2 import NODE_ACTION_RETRY
from flowmesh.engine.state.journal import SLEEP
from flowmesh.sdk.durable.failures import NON_DETERMINISTIC
from tests.simulation.actors.handled import CHAINED
from tests.simulation.servers.lines import Told


def journals(one: Told) -> Iterator[str]:
    """Everything a handler asked for ends once, and no sleep ends before its time.

    A repeatable step follows from an output that is in the journal before it.
    """
    outputs: dict[str, set[bytes]] = {}
    ended: Counter[tuple[str, int]] = Counter()
    due: dict[tuple[str, int], int] = {}
    for kind, event, body in one.events:
        if kind == "task_failed" and getattr(body.failure, "class") == NON_DETERMINISTIC:
            yield f"I3 {one.id} {body.node}: {body.failure.message}"
        if kind == "node_steered" and body.action == NODE_ACTION_RETRY:
            # Handlers in the body of a node that begins anew begin with nothing.
            for key in [key for key in ended if key[0].startswith(f"{body.node}[")]:
                del ended[key]
                due.pop(key, None)
        if kind != "journal_appended":
            continue
        for record in body.records:
            key = (body.node, record.index)
            if record.WhichOneof("outcome") is None:
                if record.delay_ms:
                    due[key] = event.at_us + record.delay_ms * 1000
                continue
            ended[key] += 1
            before = outputs.setdefault(body.node, {b""})
            if CHAINED in record.name:
                if record.name.rpartition(" ")[2].encode() not in before:
                    yield f"I3 {one.id} {key}: {record.name!r} follows from nothing"
                before.add(record.output.data.strip(b'"'))
            if event.at_us < due.get(key, 0) and record.HasField("timed_out"):
                yield f"I6 {one.id} {key}: timed out too early"
            if event.at_us < due.get(key, 0) and record.kind == SLEEP and not record.canceled:
                yield f"I6 {one.id} {key}: woken too early"
    yield from (f"I3 {one.id} {key}: journaled {n} times" for key, n in ended.items() if n > 1)
