"""Finds words and forms that plain English avoids, by the lists of `plain_words.toml`.

`python -m tools.plain_words libs/flowmesh/engine docs/faq.md` lists them with their places;
without paths it prints the figures of every part.
"""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RULES = tomllib.loads((ROOT / "tools" / "plain_words.toml").read_text())
PARTS: list[str] = RULES["parts"]
WORDS = re.compile(rf"\b({'|'.join(RULES['words'])})\b", re.IGNORECASE)
INTERROGATIVE = re.compile(rf"({'|'.join(RULES['interrogatives'])})\b")
COMMENT = re.compile(r"^\s*(#|//|--) (?P<text>.*)$")
HEADING = re.compile(r"^#+ (?P<text>.*)$")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
SUFFIXES = (".py", ".proto", ".sql", ".md")
GENERATED = ("features.md",)
FIXED: list[str] = RULES["fixed"]


@dataclass(frozen=True)
class Finding:
    """A place that needs another wording."""

    file: str
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.kind}: {self.text.strip()[:110]}"


@dataclass(frozen=True)
class Figures:
    """The counts of one part."""

    lines: int
    words: int
    docstrings: int
    interrogative_docstrings: int

    @property
    def words_per_1000_lines(self) -> float:
        return 1000 * self.words / max(self.lines, 1)

    @property
    def interrogative_share(self) -> float:
        return self.interrogative_docstrings / max(self.docstrings, 1)


def files(paths: Sequence[str]) -> list[str]:
    """Return the tracked files below the paths that hold prose or code."""
    listed = subprocess.run(
        ("git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *paths),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [
        name
        for name in sorted(set(listed.stdout.splitlines()))
        if name.endswith(SUFFIXES)
        and not name.endswith(GENERATED)
        and not any(part in name for part in FIXED)
        and (ROOT / name).is_file()
    ]


def docstrings(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of every docstring of a module."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, DOCUMENTED) and (found := ast.get_docstring(node)):
            yield node.body[0].lineno, found


def findings(name: str) -> Iterator[Finding]:
    """Yield every place of a file that the rules name."""
    text = (ROOT / name).read_text()
    yield from _findings(name, text, list(docstrings(text)) if name.endswith(".py") else [])


def _findings(name: str, text: str, documented: list[tuple[int, str]]) -> Iterator[Finding]:
    allowed = RULES["exceptions"].get(name, [])
    for line, docstring in documented:
        if INTERROGATIVE.match(docstring):
            yield Finding(name, line, "docstring", docstring.partition("\n")[0])
    start = HEADING if name.endswith(".md") else COMMENT
    within = False
    for number, written in enumerate(text.splitlines(), 1):
        if any(sentence in written for sentence in allowed):
            continue
        for match in WORDS.finditer(written):
            yield Finding(name, number, f"word `{match[0]}`", written)
        opening = start.match(written)
        if opening and not within and INTERROGATIVE.match(opening["text"]):
            yield Finding(name, number, "heading" if start is HEADING else "comment", written)
        within = opening is not None and start is COMMENT


@cache
def figures(*paths: str) -> Figures:
    """Return the counts over all files below the paths."""
    lines = words = documented = interrogative = 0
    for name in files(paths):
        text = (ROOT / name).read_text()
        lines += text.count("\n")
        found = list(docstrings(text)) if name.endswith(".py") else []
        documented += len(found)
        kinds = [finding.kind for finding in _findings(name, text, found)]
        words += sum(kind.startswith("word") for kind in kinds)
        interrogative += kinds.count("docstring")
    return Figures(lines, words, documented, interrogative)


def main() -> None:
    if paths := sys.argv[1:]:
        found = [str(finding) for name in files(paths) for finding in findings(name)]
        print("\n".join([*found, f"{len(found)} findings"]))
        return
    for part in PARTS:
        counted = figures(part)
        print(
            f"{part:16} {counted.lines:7} lines  {counted.words_per_1000_lines:5.2f} words/1,000"
            f"  {counted.docstrings:5} docstrings  {counted.interrogative_share:6.1%} interrogative"
        )


if __name__ == "__main__":
    main()
