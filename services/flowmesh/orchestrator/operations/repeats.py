"""Repeated starts: a repeat has the same values, whose bytes may differ.

Digests of the bytes are compared first. If they differ, the first input is read and both are
compared as values.
"""

from __future__ import annotations

import msgspec

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.errors import NotFound
from flowmesh.orchestrator.model.commands import PendingStart, Started
from flowmesh.orchestrator.model.errors import RequestReused
from flowmesh.orchestrator.operations.execution_reader import ExecutionReader
from flowmesh.orchestrator.storage.payloads import Payloads
from flowmesh.plan import Plan


def canonical(data: bytes) -> bytes:
    """Return the canonical text of a JSON value: sorted keys, no white space. Other data is
    unchanged.
    """
    try:
        return msgspec.json.encode(msgspec.json.decode(data), order="deterministic")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return data


async def canonical_payload(
    payloads: Payloads, namespace: str, given: payload_pb2.Payload
) -> payload_pb2.Payload:
    """Return the payload with the canonical text of its value, inline or stored."""
    return payload_pb2.Payload(data=canonical(await payloads.content(namespace, given)))


async def whole_input(
    payloads: Payloads, plan: Plan, given: payload_pb2.Payload
) -> payload_pb2.Payload:
    """Return the input that an execution begins with: the given one, with its defaults."""
    if not plan.input_defaults:
        return given
    data = await payloads.content(plan.namespace, given)
    value = msgspec.json.decode(data) if data else None
    whole = plan.whole_input(value)
    if whole == value:
        return given
    encoded = msgspec.json.encode(whole)
    if len(encoded) > INLINE_BYTES_MAX:
        return await payloads.put(plan.namespace, given.encoding, encoded)
    return payload_pb2.Payload(encoding=given.encoding, data=encoded)


async def known_input(
    payloads: Payloads, plan: Plan, given: payload_pb2.Payload
) -> payload_pb2.Payload:
    """Return the input for the digest of a start.

    A start of a workflow with a start policy may be answered with another execution, and one with
    defaults begins with more than was given. The given input is not kept then, so its digest must
    be that of the value.
    """
    if not plan.start_shared and not plan.input_defaults:
        return given
    return await canonical_payload(payloads, plan.namespace, given)


async def answer_of(
    reader: ExecutionReader, payloads: Payloads, start: PendingStart, reused: RequestReused
) -> Started:
    """Return the execution of the first start if it had the same values; raise `reused` if not."""
    if not await _same(reader, payloads, start, reused):
        raise reused
    return Started(reused.execution_id, created=False)


async def _same(
    reader: ExecutionReader, payloads: Payloads, start: PendingStart, reused: RequestReused
) -> bool:
    try:
        first = await reader.state(start.namespace, reused.execution_id)
        if start.digest_of is None or start.digest_of(first.input) != reused.digest:
            return False
        told = await canonical_payload(payloads, start.namespace, start.start.input)
        return told == await canonical_payload(payloads, start.namespace, first.input)
    except NotFound:
        return False  # what the first one began with is gone
