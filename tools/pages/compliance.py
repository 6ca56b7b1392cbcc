"""docs/compliance.md from the map of controls."""

from pathlib import Path

from flowmesh.identity.evidence.controls import controls
from tools.pages import markdown

_INTRODUCTION = Path(__file__).with_suffix(".txt")


def page() -> str:
    lines = markdown.title("Compliance", source="`controls.toml` of the identity service")
    lines += [*_INTRODUCTION.read_text().splitlines(), ""]
    rows = (
        (
            str(each["id"]),
            str(each["title"]),
            str(each["flowmesh"]),
            str(each["owner"]),
            ", ".join(markdown.code(str(name)) for name in each["evidence"]),
        )
        for each in controls()
    )
    header = ("control", "asks for", "Flowmesh", "its owner", "evidence")
    lines += markdown.table(header, rows)
    return markdown.join(lines)
