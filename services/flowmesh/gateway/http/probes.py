"""Paths that every process of the suite answers by itself, for the description only."""

from flowmesh.gateway.http.operation_docs import MANAGE, Answer, Operation


def _probe(summary: str, *, ready: bool) -> Operation:
    answers = [Answer(200, "Yes.")]
    if ready:
        answers.append(Answer(503, "No; the body says what is missing."))
    return Operation(tag=MANAGE, summary=summary, answers=tuple(answers))


PROBES = {
    "/health": _probe("Whether the process is well", ready=False),
    "/healthz": _probe("The same as /health", ready=False),
    "/livez": _probe("Whether the process is alive", ready=False),
    "/ready": _probe("Whether all that it needs is there", ready=True),
    "/readyz": _probe("The same as /ready", ready=True),
    "/metrics": Operation(
        tag=MANAGE,
        summary="Metrics in the Prometheus text format",
        answers=(Answer(200, "Counters and histograms of the process.", None, "text/plain"),),
    ),
}
