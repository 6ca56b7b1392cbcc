"""docs/settings.md from the runtime's settings."""

from typing import get_args

from flowmesh.runtime import Settings
from tools.pages import markdown


def page() -> str:
    lines = markdown.title("Settings", source="`flowmesh.runtime.Settings`")
    lines += [
        "Each setting is an environment variable. `flowmesh serve` and `flowmesh dev` accept most",
        "of them as options; `flowmesh config` prints the effective values.",
        "",
    ]
    rows = (
        (
            markdown.code(f"FLOWMESH_{name.upper()}"),
            _kind(field.annotation),
            markdown.code(str(field.default)),
            field.description or "",
        )
        for name, field in Settings.model_fields.items()
    )
    lines += markdown.table(("variable", "type", "default", "meaning"), rows)
    return markdown.join(lines)


def _kind(annotation: object) -> str:
    choices = [markdown.code(choice) for choice in get_args(annotation) if choice]
    return " or ".join(choices) or str(getattr(annotation, "__name__", ""))
