"""Writes vectors/reasons.json: the reasons that a gRPC client can receive, with their kinds."""

import json
from pathlib import Path

from flowmesh import errors
from flowmesh.errors import REASONS

FILE = Path(__file__).parent / "vectors" / "reasons.json"
# These classes stand for statuses of HTTP alone.
REST = (errors.MethodNotAllowed, errors.UnsupportedMediaType, errors.UpgradeRequired)


def text() -> str:
    """Return the content of the file."""
    rows = [
        {
            "reason": reason.name,
            "code": reason.error.grpc_code,
            "kind": reason.error.__name__.replace("FlowmeshError", "Internal"),
        }
        for reason in REASONS.values()
        if not issubclass(reason.error, REST)
    ]
    return "[\n" + ",\n".join(f"  {json.dumps(row)}" for row in rows) + "\n]\n"


if __name__ == "__main__":
    FILE.write_text(text())
