"""Checks that the value passed to a task fits its schema; the same for the workflow's output.

A template is split into the possible values of each place: constants, text, and references as far
as schemas describe them. The result is compared with the schema of the receiver. A certain mismatch
is refused. A possible mismatch is one warning per flow, if both sides have a schema.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flowmesh.contract.json_value import Json
from flowmesh.definitions.checks.known_schemas import KnownSchemas, TaskOf
from flowmesh.definitions.model import Workflow
from flowmesh.definitions.problems import Path, Problems
from flowmesh.definitions.references import output_roots_of, split_input
from flowmesh.definitions.scopes import Scope
from flowmesh.expressions import (
    Expression,
    Reference,
    TemplateInvalid,
    compile_template,
    schema_of,
)
from flowmesh.expressions.references import child_path
from flowmesh.schemas import (
    ANYTHING,
    Finding,
    Given,
    Kind,
    Part,
    array_of,
    blank,
    constant,
    list_of,
    object_of,
    part_of,
)

MISMATCH = "TYPE_MISMATCH"
UNKNOWN = "TYPE_UNKNOWN"
MAY_BE_MISSING = "OUTPUT_MAY_BE_MISSING"
_OPEN = "{{"


def check_types(
    workflow: Workflow, scope: Scope, known: KnownSchemas, task_of_node: TaskOf, problems: Problems
) -> None:
    a_list = Given((list_of(ANYTHING),))
    for inner in scope.every():
        for node in inner.nodes:
            task = task_of_node(node)
            if node.map is not None:
                need: Part | None = a_list if node.has_input else None
            else:
                need = known.parts.of(task.input_schema) if task is not None else None
            if need is not None and node.input_path not in inner.invalid and not problems.full:
                template = inner.templates.get(node.input_path)
                wholes = template.wholes if template is not None else {}
                flow = _Flow(known, inner, wholes, node.task_ref or node.id, problems)
                flow.check(split_input(node)[0], need, node.input_path)
    _check_output(workflow, scope, known, problems)


def _check_output(
    workflow: Workflow, scope: Scope, known: KnownSchemas, problems: Problems
) -> None:
    """Check the output of the workflow, or that of its only leaf."""
    need = known.parts.of(workflow.output_schema)
    if need is None:
        return
    given, key = workflow.output, "output"
    if not workflow.has_output:
        if not scope.leaf_output:
            message = "it judges nothing: several tasks end the workflow, and it has no output"
            problems.warn(UNKNOWN, message, (*workflow.schema_path, "outputSchema"))
            return
        given, key = scope.leaf_output, "outputSchema"
    try:
        wholes = compile_template(given, output_roots_of(workflow)).wholes
    except TemplateInvalid:
        # Reported by the check of templates.
        return
    flow = _Flow(known, scope, wholes, "the output of the workflow", problems)
    flow.check(given, need, (*workflow.schema_path, key))


@dataclass(frozen=True, slots=True)
class _Flow:
    """The value passed to one node, or the output of the workflow.

    `wholes` are the expressions that fill a whole string of the template, `sources` the same by
    place, `optional` those that pass through something that may be missing.
    """

    known: KnownSchemas
    scope: Scope
    wholes: Mapping[str, Expression]
    expects: str
    problems: Problems
    sources: dict[Path, str] = field(default_factory=dict)
    optional: set[Path] = field(default_factory=set)

    def check(self, given: Json, need: Part, base: Path) -> None:
        """Compare a template with the schema of its receiver; `base` is the template's path."""
        part = self._part(given, ())
        verdict = self.known.parts.comparison.verdict(part, need)
        refused: set[Path] = set()
        doubts: dict[Path, Finding] = {}
        for finding in verdict.findings:
            start = self._start(self._place(finding))
            if finding.conflict:
                refused.add(start)
                self._refuse(finding, base)
            elif finding.kind is Kind.OPTIONAL:
                doubts[start] = finding
            elif finding.kind is not Kind.UNDECLARED:
                doubts.setdefault(start, finding)
        if () in self.optional and not refused:
            message = f"{self.sources[()]} may be missing; {self.expects} needs it"
            self.problems.warn(MAY_BE_MISSING, message, base)
            return
        for start in [each for each in doubts if each not in refused]:
            self._warn(doubts[start], base)

    def _part(self, value: Json, path: Path, at: str = "") -> Part:
        """Return the possible values of a place in the template; `at` is its path as templates
        write it.
        """
        if isinstance(value, str):
            return self._text(path, at) if _OPEN in value else constant(value)
        if isinstance(value, dict):
            members = {
                name: self._part(member, (*path, name), child_path(at, name))
                for name, member in value.items()
            }
            optional = frozenset(name for name in members if (*path, name) in self.optional)
            return Given((object_of(members, optional),))
        if isinstance(value, list):
            items = [
                self._part(item, (*path, index), child_path(at, index))
                for index, item in enumerate(value)
            ]
            return Given((array_of(items),))
        return constant(value)

    def _text(self, path: Path, at: str) -> Part:
        """Return the possible values of a string with expressions: text, unless it is one
        expression.
        """
        expression = self.wholes.get(at)
        if expression is None:
            return Given((blank("string"),))
        self.sources[path] = str(expression)
        if not isinstance(expression, Reference):
            return part_of(schema_of(expression, self._reads))
        found = self.known.value(self.scope, expression)
        if found is None:
            return ANYTHING
        if found.optional:
            self.optional.add(path)
        return found.part

    def _reads(self, reference: Reference) -> Part | None:
        """Return the possible values of a function's argument."""
        found = self.known.value(self.scope, reference)
        return None if found is None else found.part

    # --- reporting ---

    def _refuse(self, finding: Finding, base: Path) -> None:
        path, expects, source = (*base, *finding.path), self.expects, self._source(finding.path)
        match finding.kind:
            case Kind.MISSING | Kind.UNLISTED if source:
                message = f"{source} has no field {finding.field!r}, which {expects} requires"
            case Kind.MISSING | Kind.UNLISTED:
                message = f"{finding.field!r} is missing; {expects} requires it"
            case Kind.EXTRA:
                message = f"{expects} has no such field" + (f" (from {source})" if source else "")
                self.problems.add(MISMATCH, message, path, at_key=not source)
                return
            case _:
                message = f"{finding.given} does not fit {finding.needed} expected by {expects}"
                message += f" (from {source})" if source else ""
        self.problems.add(MISMATCH, message, path)

    def _warn(self, finding: Finding, base: Path) -> None:
        place = self._place(finding)
        source = self._source(place) or "the value"
        if finding.kind is Kind.OPTIONAL:
            message = f"{source} may be missing; {self.expects} requires {finding.field!r}"
            self.problems.warn(MAY_BE_MISSING, message, (*base, *place))
            return
        message = f"it is unknown whether {source} fits {self.expects}: {finding.text}"
        if finding.needed:
            message += f" ({finding.given} into {finding.needed})"
        self.problems.warn(UNKNOWN, message, (*base, *finding.path))

    @staticmethod
    def _place(finding: Finding) -> Path:
        """Return the path of the value in doubt."""
        return (*finding.path, finding.field) if finding.field else finding.path

    def _start(self, path: Path) -> Path:
        """Return the path of the enclosing reference; the path itself in constants."""
        starts = (path[:length] for length in range(len(path) + 1))
        return next((start for start in starts if start in self.sources), path)

    def _source(self, path: Path) -> str:
        """Return the reference and the path below it."""
        start = self._start(path)
        if start not in self.sources:
            return ""
        text = self.sources[start]
        for key in path[len(start) :]:
            text = child_path(text, key)
        return text
