"""Definitions and values from files, folders and standard input.

Of a folder, only the YAML and JSON files are read. A Python file is executed, and must therefore be
named explicitly.
"""

import sys
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flowmesh.cli.definitions.python_files import resources_text
from flowmesh.cli.exit_codes import USAGE
from flowmesh.cli.refusals import Refused
from flowmesh.errors import Invalid
from flowmesh.jsontext import parse_json

SUFFIXES = (".yaml", ".yml", ".json")
PYTHON = ".py"
# Files of workflow tests are stored beside the workflows.
TEST_SUFFIXES = tuple(f".test{suffix}" for suffix in SUFFIXES)
# Separates definitions; JSON definitions become part of a YAML stream.
SEPARATOR = "---\n"


@dataclass(slots=True)
class Source:
    """The joined text of files, with the mapping of its lines to the files."""

    text: str = ""
    _names: list[str] = field(default_factory=list)
    _first_lines: list[int] = field(default_factory=list)

    def add(self, name: str, text: str) -> None:
        if len(self._names) == 1:
            self.text = SEPARATOR + self.text
            self._first_lines = [2]
        if self._names:
            self.text = self.text.rstrip("\n") + "\n" + SEPARATOR
        self._names.append(name)
        self._first_lines.append(self.text.count("\n") + 1)
        self.text += text

    def place(self, line: int, column: int) -> str:
        """Return `file:line:column` for a position in the joined text, as far as it is known.

        Definitions of a Python file have no line.
        """
        if not line:
            return self._names[0] if len(self._names) == 1 else ""
        index = bisect_right(self._first_lines, line) - 1
        name = self._names[index]
        if name.endswith(PYTHON):
            return name
        return f"{name}:{line - self._first_lines[index] + 1}:{column}"

    def line(self, line: int) -> tuple[int, str] | None:
        """Return the number in its file and the text of a line; None if it has no file line."""
        lines = self.text.split("\n")
        if not 0 < line <= len(lines):
            return None
        index = bisect_right(self._first_lines, line) - 1
        if self._names[index].endswith(PYTHON):
            return None
        return line - self._first_lines[index] + 1, lines[line - 1]


def read_source(names: Sequence[Path | str]) -> Source:
    """Read the named files, all definitions of named folders, and standard input for `-`."""
    if not names:
        raise Refused("no file is named", "give -f FILE, -f FOLDER or -f -", USAGE)
    source = Source()
    for name in names:
        if str(name) == "-":
            source.add("stdin", sys.stdin.read())
            continue
        path = Path(name)
        for file in files_of(path):
            source.add(str(file), definition_text(file))
    return source


PATH_SHOWN = 80


def files_of(path: Path) -> list[Path]:
    try:
        if not path.is_dir():
            return [path]
    except OSError as error:
        raise Refused(f"{str(path)[:PATH_SHOWN]}: {error.strerror}", code=USAGE) from None
    found = sorted(
        file
        for file in path.rglob("*")
        if file.suffix in SUFFIXES and not file.name.endswith(TEST_SUFFIXES)
    )
    if not found:
        raise Refused(
            f"{path} contains no definition", f"files end in {', '.join(SUFFIXES)}", USAGE
        )
    return found


def definition_text(path: Path) -> str:
    """Return the definitions of a file as YAML or JSON."""
    return resources_text(path) if path.suffix == PYTHON else file_text(path)


def file_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Refused(f"there is no file {path}", code=USAGE) from None
    except UnicodeDecodeError:
        raise Refused(f"{path} is not UTF-8 text", code=USAGE) from None
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}", code=USAGE) from None


def read_value(text: str, option: str) -> Any:
    """Return the value of JSON given as text, `@file`, or `-` for standard input."""
    if text == "-":
        text, where = sys.stdin.read(), "standard input"
    elif text.startswith("@"):
        text, where = file_text(Path(text[1:])), text[1:]
    else:
        where = option
    return json_value(text, where)


def json_value(text: str, where: str, hint: str = "JSON strings need double quotes") -> Any:
    """Return the value of a JSON text; raise Refused with its origin if it is invalid."""
    try:
        # Python passes bytes of an argument that are not UTF-8 as lone surrogates.
        return parse_json(text.encode("utf-8", "surrogateescape"), where)
    except Invalid as error:
        if error.message.startswith(f"{where} is not JSON"):
            raise Refused(error.message, hint, USAGE) from None
        text = error.message if where in error.message else f"{where}: {error.message}"
        raise Refused(text, code=USAGE) from None
