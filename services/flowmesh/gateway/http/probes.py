"""Probe paths of every process of the suite, for the OpenAPI document only."""

from flowmesh.gateway.http.operation_docs import MANAGE, Answer, Operation


def _probe(summary: str, *, ready: bool) -> Operation:
    answers = [Answer(200, "Yes.")]
    if ready:
        answers.append(Answer(503, "Not ready; the body names the missing dependency."))
    return Operation(tag=MANAGE, summary=summary, answers=tuple(answers))


PROBES = {
    "/health": _probe("Report the health of the process", ready=False),
    "/healthz": _probe("Alias of /health", ready=False),
    "/livez": _probe("Report whether the process is alive", ready=False),
    "/ready": _probe("Report whether all dependencies are available", ready=True),
    "/readyz": _probe("Alias of /ready", ready=True),
    "/metrics": Operation(
        tag=MANAGE,
        summary="Get metrics in the Prometheus text format",
        answers=(Answer(200, "Counters and histograms of the process.", None, "text/plain"),),
    ),
}
