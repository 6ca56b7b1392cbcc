"""The README of each SDK: its commands, and the program that they run."""

import re
from pathlib import Path

from sdks.conformance.languages import LANGUAGES, ROOT

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> dict[str, str]:
    """Return the first block of each kind in the README of a language."""
    found: dict[str, str] = {}
    for kind, text in _BLOCK.findall((ROOT / "sdks" / language / "README.md").read_text()):
        found.setdefault(kind, text)
    return found


def save_program(language: str, folder: Path) -> None:
    """Write the files that the README shows."""
    found = blocks(language)
    for kind, name in LANGUAGES[language]["readme"].items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(found[kind])


def script_of(console: str) -> tuple[str, str]:
    """Return the commands of a block, without those in the background, and their last output."""
    lines = console.splitlines()
    commands = [line[2:] for line in lines if line.startswith("$ ") and not line.endswith("&")]
    return "\n".join(commands), lines[-1]
