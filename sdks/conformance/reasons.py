"""Writes vectors/reasons.json: the reasons that a gRPC client can receive, with their kinds."""

import json
from pathlib import Path

from flowmesh import errors
from flowmesh.errors import REASONS, FlowmeshError

FILE = Path(__file__).parent / "vectors" / "reasons.json"
# These classes stand for statuses of HTTP alone.
REST = (errors.MethodNotAllowed, errors.UnsupportedMediaType, errors.UpgradeRequired)


def text() -> str:
    """Return the content of the file."""
    rows = [
        {
            "reason": reason.name,
            "code": reason.error.grpc_code,
            "kind": _kind(reason.error),
        }
        for reason in REASONS.values()
        if not issubclass(reason.error, REST)
    ]
    return "[\n" + ",\n".join(f"  {json.dumps(row)}" for row in rows) + "\n]\n"


def _kind(error: type[FlowmeshError]) -> str:
    """Return the class below FlowmeshError that clients know an error by."""
    if error is FlowmeshError:
        return "Internal"
    return next(each.__name__ for each in error.__mro__ if FlowmeshError in each.__bases__)


if __name__ == "__main__":
    FILE.write_text(text())
