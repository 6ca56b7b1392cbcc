"""Pages as their readers use them: blocks saved under their names, commands run as written."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
# Stands for any text within a line, and alone on a line for any number of lines.
ANY = "…"


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the words behind it, and its text."""

    language: str
    info: str
    text: str

    def value(self, name: str) -> str:
        """Return a value of the words behind the language; empty if there is none."""
        found = re.search(rf'\b{name}="([^"]+)"', self.info)
        return found[1] if found else ""

    @property
    def serves(self) -> bool:
        """Return whether its command runs beside the others, until the end of the page."""
        return self.info == "serve"

    @property
    def commands(self) -> list[tuple[str, str]]:
        """Return the commands, each with the output that the page shows."""
        return _COMMAND.findall(self.text)


def blocks(page: str) -> Iterator[Block]:
    """Return the blocks of a page in order."""
    for language, info, text in _BLOCK.findall(page):
        yield Block(language, info.strip(), text)


def fits(shown: str, printed: str) -> bool:
    """Return whether an output is the one that a page shows."""
    pattern = "".join(
        "(?:.*\n)*" if line == ANY else ".*".join(map(re.escape, line.split(ANY))) + " *\n"
        for line in shown.rstrip().splitlines()
    )
    return re.fullmatch(pattern, f"{printed.rstrip()}\n".lstrip("\n")) is not None
