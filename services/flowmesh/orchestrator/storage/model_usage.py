"""Usage of models, booked in the commit that makes the answers durable.

Metering sums the rows of the table `model_usage`: one for each answer of a model, whatever became
of the step that asked.
"""

from collections.abc import Iterator

from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.engine import State

_JOURNAL_BEGINS = b"\xe2\x03"
"""The tag of `journal_appended`: encoded events without these bytes have no journal record."""

UsageRow = tuple[int, str, str, str, int, int, str, str, int, int, int]


def usage_rows(
    state: State, partition: int, history: history_event_pb2.HistoryEvents, stored: bytes
) -> Iterator[UsageRow]:
    """Yield a row for each step of a journal that used a model; `stored` are the encoded events."""
    if _JOURNAL_BEGINS not in stored:
        return
    for event in history.events:
        appended = event.journal_appended
        for record in appended.records:
            if record.HasField("usage"):
                used = record.usage
                yield (
                    partition,
                    state.plan.namespace,
                    state.execution_id,
                    appended.node,
                    appended.attempt,
                    record.index,
                    used.provider,
                    used.model,
                    used.input_tokens,
                    used.output_tokens,
                    used.micro_usd,
                )
