"""Writes the generated pages of docs/ and data of packages.

`tests/tidy/documents/test_docs.py` proves them fresh.
"""

from collections.abc import Callable
from pathlib import Path

from flowmesh.cli.completion import options
from tools import completion, features
from tools.pages import (
    apps,
    architecture,
    commands,
    comparison,
    compliance,
    errors,
    executors,
    explanations,
    functions,
    grpc,
    limits,
    reliability,
    rest,
    roles,
    settings,
    transforms,
    workflow_reference,
)

DOCS = Path(__file__).resolve().parent.parent / "docs"

PAGES: dict[str, Callable[[], str]] = {
    "apps/module-types.md": apps.page,
    "architecture.md": architecture.page,
    "commands.md": commands.page,
    "comparison.md": comparison.page,
    "compliance.md": compliance.page,
    "errors.md": errors.page,
    "executors.md": executors.page,
    "features.md": features.page,
    "functions.md": functions.page,
    "grpc.md": grpc.page,
    "limits.md": limits.page,
    "reliability.md": reliability.page,
    "rest.md": rest.page,
    "roles.md": roles.page,
    "settings.md": settings.page,
    "transforms.md": transforms.page,
    "workflow-reference.md": workflow_reference.page,
    **explanations.pages(),
}

# Generated data of packages.
DATA: dict[Path, Callable[[], str]] = {options.FILE: completion.text}


def main() -> None:
    for name, page in PAGES.items():
        (DOCS / name).parent.mkdir(exist_ok=True)
        (DOCS / name).write_text(page())
        print(f"docs/{name}")
    for file, text in DATA.items():
        file.write_text(text())
        print(file.name)


if __name__ == "__main__":
    main()
