"""`grpc.call`: one unary gRPC call with JSON messages."""

from base64 import b64decode

import orjson

from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.contract.json_value import Json
from flowmesh.executors.base import Attempt, Executor, Output, Step
from flowmesh.executors.http.answers import NowUs
from flowmesh.executors.rpc.calls import Caller, Rpc, Target
from flowmesh.executors.templates import Rendered
from flowmesh.telemetry import current_traceparent


class UnaryStep(Step):
    def __init__(
        self, spec: TaskSpec, config: dict[str, Json], caller: Caller, now_us: NowUs
    ) -> None:
        self._caller = caller
        self._method = str(config["method"])
        self._tls = bool(config.get("tls", True))
        self._authorities = str(config.get("ca") or "")
        self._server_name = str(config.get("serverName") or "")
        self._descriptors = b64decode(config.get("descriptors") or "", validate=True)
        given = {
            "target": config.get("target", ""),
            "service": config.get("service", ""),
            "request": config.get("request"),
            "metadata": config.get("metadata") or {},
        }
        self._given = Rendered(given, spec.dialect, now_us)

    async def run(self, attempt: Attempt) -> Output:
        given = self._given.over(attempt)
        service = str(given["service"])
        # The certificates of a service name it, wherever its instances are.
        server_name = self._server_name or service
        target = Target(str(given["target"]), self._tls, self._authorities, server_name)
        rpc = Rpc(
            target=target,
            method=self._method,
            request=given["request"],
            metadata=_with_defaults(given["metadata"], attempt),
            timeout_ms=attempt.timeout_ms,
            descriptors=self._descriptors,
            service=service,
            namespace=attempt.task.namespace,
            workflow_id=attempt.task.workflow_id,
        )
        answer = await self._caller.call(rpc)
        metadata = {"grpc": {"code": "OK", "metadata": answer.metadata}}
        return Output.of(answer.response, orjson.dumps(metadata))


def _with_defaults(given: dict[str, Json], attempt: Attempt) -> dict[str, str]:
    metadata = {
        name: value if isinstance(value, str) else orjson.dumps(value).decode()
        for name, value in given.items()
    }
    names = {name.lower() for name in metadata}
    defaults = {
        "idempotency-key": attempt.task.idempotency_key,
        "traceparent": current_traceparent() or attempt.task.traceparent,
    }
    added = {n: value for n, value in defaults.items() if value and n not in names}
    return {**metadata, **added}


def unary_executor(caller: Caller, now_us: NowUs) -> Executor:
    """Return the executor of `grpc.call`."""

    def prepare(spec: TaskSpec, config: dict[str, Json]) -> UnaryStep:
        return UnaryStep(spec, config, caller, now_us)

    return prepare
