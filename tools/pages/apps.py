"""Write the table of module types in docs/apps; the rest of that page is written by hand."""

from pathlib import Path

from flowmesh.apps.catalog import DESCRIPTORS, STEPS
from tools.pages import markdown

PAGE = Path(__file__).resolve().parents[2] / "docs" / "apps" / "module-types.md"
BEGIN, END = "<!-- types -->", "<!-- end -->"


def page() -> str:
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{_table()}\n\n{END}{after}"


def _table() -> str:
    rows = (
        (
            markdown.code(each.type),
            "yes" if each.type in STEPS else "",
            each.text,
            ", ".join(
                markdown.code(field.key + ("!" if field.required else "")) for field in each.fields
            ),
        )
        for each in DESCRIPTORS.values()
    )
    added = ", ".join(f"`{each}`" for each in STEPS if each not in DESCRIPTORS)
    lines = markdown.table(("type", "in pipelines", "purpose", "keys, `!` required"), rows)
    return "\n".join([*lines, f"Further steps of pipelines: {added}."])
