"""What a command tells: people on standard output, programs in files."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from flowmesh.runtime import Settings
from flowmesh.telemetry import Unfailing


def say(text: str) -> None:
    """Writes to standard output at once; servers go on where that takes nothing."""
    print(text, file=Unfailing(sys.stdout), flush=True)


def complain(text: str) -> None:
    """A line for a person on standard error, where that takes one."""
    print(f"flowmesh: {text}", file=Unfailing(sys.stderr), flush=True)


def data_folder(settings: Settings) -> Path:
    """The data directory as an absolute path."""
    return Path(settings.data_dir).absolute()


def write_private(path: Path, content: dict[str, Any]) -> None:
    """Writes JSON whole or not at all, readable by its owner only: addresses hold secrets."""
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file, indent=2)
        file.write("\n")
    draft.replace(path)
