"""Whether a text is JavaScript, found out by parsing it and never by running it.

The parser is QuickJS. The source stands behind a `throw`, so what parses ends before its first
statement; and it stands in two different brackets, so it cannot close one and go on outside.
"""

from typing import Any

import _quickjs  # type: ignore[import-not-found]  # `quickjs` itself starts a thread at import

CODE_CHARACTERS_MAX = 64 * 1024
PARSE_SECONDS_MAX = 0.25
PARSE_MEMORY_BYTES_MAX = 32 * 1024 * 1024
PARSE_STACK_BYTES_MAX = 256 * 1024
MESSAGE_CHARACTERS_MAX = 200

_STOP = "throw null;"
_PARAMETERS = "input, context, inputKey"


def expression_error(source: str) -> str:
    """Why `source` is not one JavaScript expression; empty if it is."""
    return _first_error(f"{_STOP}(\n{source}\n)", f"{_STOP}[\n{source}\n]")


def check_syntax(code: str) -> str:
    """Why `code` cannot be the body of a function; empty if it can."""
    if len(code) > CODE_CHARACTERS_MAX:
        return f"the code is longer than {CODE_CHARACTERS_MAX} characters"
    return _first_error(
        f"{_STOP}(function({_PARAMETERS}) {{\n{code}\n}})",
        f"{_STOP}({{run({_PARAMETERS}) {{\n{code}\n}}}})",
    )


def _first_error(*sources: str) -> str:
    if any("\0" in source for source in sources):
        return "the code holds a NUL character"
    for source in sources:
        context: Any = _quickjs.Context()
        context.set_time_limit(PARSE_SECONDS_MAX)
        context.set_memory_limit(PARSE_MEMORY_BYTES_MAX)
        context.set_max_stack_size(PARSE_STACK_BYTES_MAX)
        try:
            context.eval(source)
        except _quickjs.JSException as error:
            text = str(error)
            if not text.startswith("null"):
                return _message(text)
    return ""


def _message(text: str) -> str:
    """QuickJS's first line, without the kind of error before it."""
    first = text.partition("\n")[0].partition(": ")
    return (first[2] or first[0])[:MESSAGE_CHARACTERS_MAX]
