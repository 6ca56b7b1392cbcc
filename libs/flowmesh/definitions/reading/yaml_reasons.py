"""Reasons why a text is not YAML, in words of the text."""

import re

import yaml

# Characters that strings of JSON may hold unescaped and YAML may not.
UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TAB = "a tab cannot indent; use blanks"
_REASONS = {
    "mapping values are not allowed in this context": (
        "': ' is not allowed here; quote the text, or check the indentation"
    ),
    "did not find expected ',' or ']'": "the [ of line {line} is not closed by ]",
    "did not find expected ',' or '}'": "the {{ of line {line} is not closed by }}",
    "could not find expected ':'": "the key of line {line} has no colon",
    "did not find expected key": "expected a key; check the indentation and the quotes",
    "did not find expected '-' indicator": "expected '- ', an item of the list of line {line}",
    "did not find expected node content": "expected a value; a bracket may be too many or open",
    "found a tab character where an indentation space is expected": _TAB,
    "found unknown escape character": "there is no such escape; write \\\\ for a backslash",
}


def syntax_reason(error: yaml.MarkedYAMLError, text: str) -> str:
    """Return why a text is not YAML; the mark of the error is the place."""
    problem = str(error.problem or error)
    line = error.context_mark.line + 1 if error.context_mark else 0
    if problem == "found unexpected end of stream" and "quoted" in str(error.context):
        return f"the quote of line {line} is not closed"
    if problem == "found character that cannot start any token" and error.problem_mark:
        lines = text.splitlines()
        mark = error.problem_mark
        found = lines[mark.line][mark.column : mark.column + 1] if mark.line < len(lines) else ""
        if found == "\t":
            return _TAB
        return f"{found} cannot begin a value; put it in quotes"
    reason = _REASONS.get(problem)
    return reason.format(line=line) if reason is not None else problem


def unreadable_character(text: str) -> tuple[str, int, int]:
    """Return the reason, line and column of the first character that YAML does not allow."""
    found = UNPRINTABLE.search(text)
    if found is None:
        return "it cannot be read", 0, 0
    before = text[: found.start()]
    name = "NUL" if found[0] == "\0" else f"U+{ord(found[0]):04X}"
    line, column = before.count("\n") + 1, found.start() - before.rfind("\n")
    return f"the character {name} is not allowed", line, column
