"""Failures of tasks without the sensitive values of their execution."""

from collections.abc import Iterator

import orjson

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.engine import State
from flowmesh.jsontext.masks import texts_of, without, without_in_json
from flowmesh.views.masking import values_at


def masked_failure(state: State, failure: failure_pb2.Failure) -> failure_pb2.Failure:
    """Return the failure with the texts of sensitive members masked in its message and details.

    These are members of the input of the execution and of outputs of its nodes.
    """
    hidden = frozenset(_sensitive_texts(state))
    if not hidden:
        return failure
    masked = failure_pb2.Failure()
    masked.CopyFrom(failure)
    masked.message = without(failure.message, hidden)
    masked.details = without_in_json(failure.details, hidden)
    return masked


def _sensitive_texts(state: State) -> Iterator[str]:
    for payload in _payloads(state):
        if payload.sensitive and payload.data and not payload.encoding:
            for value in values_at(orjson.loads(payload.data), payload.sensitive):
                yield from texts_of(value)


def _payloads(state: State) -> Iterator[payload_pb2.Payload]:
    yield state.input
    if not state.plan.marks_outputs:
        return
    for scope in (state.scope, *state.scopes.values()):
        for node in scope.nodes.values():
            if node.output is not None:
                yield node.output
