"""Errors of expressions, at compilation and at rendering.

flowmesh.errors.Invalid
├── TemplateInvalid      every problem of a template, each with its place; found at registration
└── ExpressionInvalid    a condition that does not parse, is forbidden or is over a limit
Exception
└── RenderError          a value does not fit; raised at run time, fails the step
    └── ValueMissing     a value is missing; `default` and similar functions handle it
"""

from dataclasses import dataclass

from flowmesh.errors import Invalid, Violation


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem of a template.

    `path` leads into the compiled value (`items[0].email`, empty for the value itself),
    `offset` is the 0-based character in the string there or -1, `code` is one of the reasons
    TEMPLATE_INVALID, TEMPLATE_UNKNOWN_REFERENCE, TEMPLATE_UNKNOWN_FUNCTION,
    TEMPLATE_ARGUMENTS_INVALID, NESTING_TOO_DEEP.
    """

    path: str
    message: str
    code: str = "TEMPLATE_INVALID"
    offset: int = -1


class TemplateInvalid(Invalid):
    """A template that cannot be compiled; `problems` has every problem."""

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
    """A compiled expression got a value that it cannot use.

    `path` is the requested reference (`tasks.fetch-user.output.email`). The message describes the
    actual type and never contains a value. `code` is RENDER_FAILED, OUTPUT_TOO_LARGE,
    HEADER_INVALID or URL_INVALID.
    """

    def __init__(self, path: str, message: str, *, code: str = "RENDER_FAILED") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message
        self.code = code


class ValueMissing(RenderError):
    """A reference without a value."""
