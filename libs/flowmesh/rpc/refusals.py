"""The error of a start that was rejected on a session stream, equal to that of a unary call."""

import grpc

from flowmesh import errors
from flowmesh.api.execution.v1 import execution_service_pb2 as pb

_BY_CODE: dict[int, type[errors.FlowmeshError]] = {
    grpc.StatusCode[kind.grpc_code].value[0]: kind
    for kind in (
        errors.Invalid,
        errors.Unauthenticated,
        errors.Forbidden,
        errors.NotFound,
        errors.Conflict,
        errors.WrongState,
        errors.Gone,
        errors.Overloaded,
        errors.Unavailable,
        errors.Timeout,
    )
}


def error_of_refused_start(refused: pb.SessionRefused) -> errors.FlowmeshError:
    known = errors.REASONS.get(refused.reason)
    kind = known.error if known else _BY_CODE.get(refused.code, errors.FlowmeshError)
    return kind(refused.reason, refused.message, retry_after_ms=refused.retry_after_ms)
