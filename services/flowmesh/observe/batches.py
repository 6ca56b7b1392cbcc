"""Bounds of a batch of signals, checked before it is stored."""

from collections.abc import Iterable, Sized
from typing import NoReturn

from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.errors import Invalid
from flowmesh.observe import limits
from flowmesh.rpc import valid_id


def check_batch(batch: pb.RecordSignalsRequest) -> None:
    """Raise REQUEST_INVALID for a batch beyond its bounds."""
    valid_id(batch.service, "service")
    valid_id(batch.instance_id, "instance_id")
    _at_most(batch.metrics, limits.METRICS_MAX, "metrics")
    _at_most(batch.logs, limits.RECORDS_MAX, "logs")
    _at_most(batch.calls, limits.RECORDS_MAX, "calls")
    for each in batch.metrics:
        _at_most(each.labels, limits.LABELS_MAX, f"labels of {each.metric}")
        if len(each.labels) != len(each.values):
            _refuse(f"{each.metric} has {len(each.labels)} labels and {len(each.values)} values")
    for record in batch.logs:
        _at_most(record.fields.encode(), 2 * limits.FIELDS_BYTES_MAX, "fields")
        _check_texts((record.level, record.service, record.event, record.namespace))
    for call in batch.calls:
        _check_texts((call.service, call.method, call.code, call.namespace))


def _check_texts(texts: Iterable[str]) -> None:
    for text in texts:
        _at_most(text, limits.TEXT_CHARACTERS_MAX, "a text")


def _at_most(value: Sized, most: int, name: str) -> None:
    if len(value) > most:
        _refuse(f"{name}: {len(value):,}, at most {most:,}")


def _refuse(text: str) -> NoReturn:
    raise Invalid("REQUEST_INVALID", text)
