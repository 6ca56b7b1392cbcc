"""Output of commands: text on standard output, JSON files for programs."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from flowmesh.runtime import Settings
from flowmesh.telemetry import LossyStream


def print_line(text: str) -> None:
    """Write to standard output at once; ignore a closed output, so that servers keep running."""
    print(text, file=LossyStream(sys.stdout), flush=True)


def print_error(text: str) -> None:
    """Write a line to standard error; ignore a closed one."""
    print(f"flowmesh: {text}", file=LossyStream(sys.stderr), flush=True)


def data_folder(settings: Settings) -> Path:
    """Return the data directory as an absolute path."""
    return Path(settings.data_dir).absolute()


def write_private(path: Path, content: dict[str, Any]) -> None:
    """Write JSON atomically, readable by its owner only: addresses contain secrets."""
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file, indent=2)
        file.write("\n")
    draft.replace(path)
