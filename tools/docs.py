"""Writes the generated pages of docs/. `tests/tidy/test_docs.py` proves them fresh."""

from collections.abc import Callable
from pathlib import Path

from tools import features
from tools.pages import (
    apps,
    architecture,
    comparison,
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
    "comparison.md": comparison.page,
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


def main() -> None:
    for name, page in PAGES.items():
        (DOCS / name).parent.mkdir(exist_ok=True)
        (DOCS / name).write_text(page())
        print(f"docs/{name}")


if __name__ == "__main__":
    main()
