"""Log lines of a task that are kept with its node, limited in number and length."""

from flowmesh.contract.json_value import Json

LINES_MAX = 100
LINE_CHARACTERS_MAX = 1_000


def log_lines(text: str) -> list[Json]:
    """Split printed text into log lines; the last line reports the number of omitted lines."""
    lines = text.splitlines()
    kept: list[Json] = [
        {"level": "info", "message": line[:LINE_CHARACTERS_MAX]} for line in lines[:LINES_MAX]
    ]
    if len(lines) > LINES_MAX:
        kept.append({"level": "warning", "message": f"{len(lines) - LINES_MAX} more lines"})
    return kept
