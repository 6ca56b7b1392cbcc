"""Errors of expressions: what is wrong with a source, and what went wrong with one value.

flowmesh.errors.Invalid
├── TemplateInvalid      every problem of a template, each with its place; found at registration
└── ExpressionInvalid    a condition that does not parse, is forbidden or is over a limit
Exception
└── RenderError          a value does not fit; found at run time, fails the step
    └── ValueMissing     a value is not there; `default` and its like go on without it
"""

from dataclasses import dataclass

from flowmesh.errors import Invalid, Violation


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a template.

    `path` leads into the value that was compiled (`items[0].email`, empty for the value itself),
    `offset` is the 0-based character in the string there or -1, `code` is one of the reasons
    TEMPLATE_INVALID, TEMPLATE_UNKNOWN_REFERENCE, TEMPLATE_UNKNOWN_FUNCTION,
    TEMPLATE_ARGUMENTS_INVALID, NESTING_TOO_DEEP.
    """

    path: str
    message: str
    code: str = "TEMPLATE_INVALID"
    offset: int = -1


class TemplateInvalid(Invalid):
    """A template that cannot be compiled; `problems` holds all that was found."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        codes = {problem.code for problem in problems}
        first = problems[0]
        place = f"{first.path}: " if first.path else ""
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(
            codes.pop() if len(codes) == 1 else "TEMPLATE_INVALID",
            f"{place}{first.message}{more}",
            violations=tuple(Violation(p.path, p.message, p.code) for p in problems),
        )
        self.problems = problems


class ExpressionInvalid(Invalid):
    """A condition that cannot be compiled; `offset` is the 0-based character, -1 if unknown.

    Reasons: EXPRESSION_INVALID, EXPRESSION_TOO_COMPLEX, EXPRESSION_FORBIDDEN.
    """

    def __init__(self, reason: str, message: str, *, offset: int = -1) -> None:
        super().__init__(reason, message)
        self.offset = offset


class RenderError(Exception):
    """A compiled expression met a value it cannot work with.

    `path` names what was asked for (`tasks.fetch-user.output.email`), the message says what is
    there instead, never a value of the data. `code` is RENDER_FAILED, OUTPUT_TOO_LARGE,
    HEADER_INVALID or URL_INVALID.
    """

    def __init__(self, path: str, message: str, *, code: str = "RENDER_FAILED") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message
        self.code = code


class ValueMissing(RenderError):
    """What a reference names is not there."""
