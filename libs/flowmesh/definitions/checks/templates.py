"""Checks of templates: each parses, and its references exist."""

from collections.abc import Sequence

from flowmesh.definitions.checks.known_schemas import KnownSchemas, items_source
from flowmesh.definitions.checks.parts import Parts
from flowmesh.definitions.model import (
    ITEM_NAMES,
    VARIABLE_NAMES,
    Node,
    SearchField,
    SearchKind,
    Workflow,
    every_node,
)
from flowmesh.definitions.problems import Path, Problems, nearest, split_path
from flowmesh.definitions.references import (
    condition_roots_of,
    conditions_of,
    ids_in,
    output_roots_of,
    paths_in_condition,
    task_of,
    tasks_in_condition,
    templates_of,
    under_input,
    variables_in_condition,
)
from flowmesh.definitions.scopes import Scope
from flowmesh.expressions import (
    ExpressionInvalid,
    Reference,
    Template,
    TemplateInvalid,
    compile_condition,
    compile_template,
)
from flowmesh.expressions.calls import Call
from flowmesh.expressions.cel_source import bound_names, tokenize
from flowmesh.schemas import ANYTHING, Part

_UNKNOWN = "TEMPLATE_UNKNOWN_REFERENCE"


def note_invalid(error: TemplateInvalid, base: Path, problems: Problems) -> None:
    for found in error.problems:
        path = (*base, *split_path(found.path))
        problems.add(found.code, found.message, path, offset=found.offset)


def note_sealed(reference: Reference, path: Path, problems: Problems) -> None:
    message = f"{reference}: the value is sealed end to end; it can only be passed on whole"
    problems.add("SEALED_VALUE_READ", message, path, offset=reference.offset)


def passes_on(template: Template, reference: Reference) -> bool:
    """Return whether a reference is a whole value of its template, also as one with a default."""
    whole = template.wholes.get(reference.at)
    if isinstance(whole, Call) and whole.function.name == "default":
        return reference in whole.arguments
    return whole == reference


def check_templates(
    workflow: Workflow, scope: Scope, known: KnownSchemas, problems: Problems
) -> None:
    """Check the inputs and conditions of all nodes, and the workflow's own output."""
    checker = _Checker(known, problems)
    for inner in scope.every():
        for node in (*inner.nodes, *inner.undos()):
            for base, _ in templates_of(node):
                if base in inner.invalid:
                    note_invalid(inner.invalid[base], base, problems)
                else:
                    checker.template(inner, inner.templates[base], base)
            for condition, path in conditions_of(node):
                checker.condition(inner, node, condition, path)
    for each in workflow.search:
        checker.found_by(scope, each)
    for limits in (workflow.limits, *(node.limits for node in every_node(workflow.nodes))):
        if limits is not None and limits.key:
            checker.key(scope, limits.key, limits.path)
    if workflow.start is not None and workflow.start.key:
        checker.key(scope, workflow.start.key, workflow.start.path)
    if workflow.has_output:
        base = (*workflow.schema_path, "output")
        try:
            output = compile_template(workflow.output, output_roots_of(workflow))
            checker.template(scope, output, base)
        except TemplateInvalid as error:
            note_invalid(error, base, problems)


class _Checker:
    """The checks of one workflow's references."""

    def __init__(self, known: KnownSchemas, problems: Problems) -> None:
        self._known = known
        self._problems = problems

    def template(self, scope: Scope, template: Template, base: Path, *, kept: bool = True) -> None:
        """Check the references of a template; `kept` if a whole value stays what it is."""
        for reference in template.references:
            if self._problems.full:
                return
            path = (*base, *split_path(reference.at))
            match reference.root:
                case "tasks":
                    self._task_output(scope, reference, path)
                case "input":
                    what = "the input of the workflow"
                    self._input_field(reference, self._known.input, path, what)
                case "item":
                    self._item_field(scope, reference, path)
                case "variables":
                    self._variable(reference, path)
            if not kept or not passes_on(template, reference):
                self._sealed(scope, reference, path)

    def _sealed(self, scope: Scope, reference: Reference, path: Path) -> None:
        """Refuse a sealed value where it is not passed on whole."""
        found = self._known.value(scope, reference)
        if found is not None and self._known.parts.sealed(found.part):
            note_sealed(reference, path, self._problems)

    def _variable(self, reference: Reference, path: Path) -> None:
        keys = reference.path
        if not keys:
            return  # all of them
        name = str(keys[0])
        if name not in self._known.variables:
            message = f"{reference}: there is no variable {name[:64]!r}"
            message += nearest(name, self._known.variables)
            self._problems.add(_UNKNOWN, message, path, offset=reference.offset)
            return
        part = self._known.variables[name]
        self._declared(reference, keys[1:], part, path, f"the variable {name}")

    def found_by(self, scope: Scope, field: SearchField) -> None:
        """Check a search attribute, which reads only the input: it is computed at the start."""
        if field.template is None:
            return
        base = (*field.path, "from") if field.kind is not SearchKind.ANY else field.path
        try:
            compiled = compile_template(field.template, frozenset({"input"}))
            self.template(scope, compiled, base, kept=False)
        except TemplateInvalid as error:
            note_invalid(error, base, self._problems)

    def key(self, scope: Scope, key: str, of: Path) -> None:
        """Check the key of a limit or of a start, which is known before any task runs."""
        base = (*of, "key")
        try:
            template = compile_template(key, frozenset({"input"}))
            self.template(scope, template, base, kept=False)
        except TemplateInvalid as error:
            note_invalid(error, base, self._problems)

    def _task_output(self, scope: Scope, reference: Reference, path: Path) -> None:
        name = task_of(reference)
        if not name:
            message = f"{reference}: name a task, as in tasks.<id>.output"
            self._problems.add(_UNKNOWN, message, path, offset=reference.offset)
        elif name not in scope.visible:
            message = f"{reference}: there is no task {name!r}{_hint(name, scope)}"
            self._problems.add(_UNKNOWN, message, path, offset=reference.offset)
        elif len(reference.path) > 1 and reference.path[1] != "output":
            message = f"{reference}: a task has output, not {str(reference.path[1])[:64]!r}"
            self._problems.add(_UNKNOWN, message, path, offset=reference.offset)
        else:
            self._output_field(scope, reference, scope.visible[name], path)

    def _output_field(self, scope: Scope, reference: Reference, node: Node, path: Path) -> None:
        keys = reference.path[2:]
        listed = node.map is not None and not node.map.counted
        if listed and keys and isinstance(keys[0], str):
            message = f"{reference}: the output of {node.id} is the list of its items' outputs"
            message += "; [0] is the first of them"
            self._problems.add(_UNKNOWN, message, path, offset=reference.offset)
            return
        output = self._known.output(scope, node)
        self._declared(reference, keys, output, path, f"the output of {node.id}")

    def _item_field(self, scope: Scope, reference: Reference, path: Path) -> None:
        """Check a field of an item: of the workflow's input as input, of another list as output."""
        item = self._known.item(scope)
        what = f"an item of {scope.owner.id if scope.owner is not None else ''}"
        if _from_input(scope):
            self._input_field(reference, item, path, what)
        else:
            self._declared(reference, reference.path, item, path, what)

    def _input_field(self, reference: Reference, part: Part | None, path: Path, what: str) -> None:
        if part is not None:
            check_input_field(reference, part, self._known.parts, path, self._problems, what)

    def _declared(
        self,
        reference: Reference,
        keys: Sequence[str | int],
        part: Part | None,
        path: Path,
        what: str,
    ) -> None:
        """Check a field against a schema. Warn if the schema does not list it but allows more."""
        parts = self._known.parts
        for key in keys if part is not None else ():
            here, part = part or ANYTHING, parts.at(part or ANYTHING, (key,)).part
            there = parts.possible(part)
            if there and not (isinstance(key, str) and parts.leaves_out(here, key)):
                continue
            if parts.sealed(here):
                note_sealed(reference, path, self._problems)
                return
            named = f"field {key!r}" if isinstance(key, str) else f"item [{key}]"
            hint = nearest(key, parts.listed(here)) if isinstance(key, str) else ""
            if there:
                message = f"{reference}: the schema of {what} lists no {named}{hint}"
                self._problems.warn("OUTPUT_MAY_BE_MISSING", message, path)
            else:
                message = f"{reference}: {what} has no {named}{hint}"
                self._problems.add(_UNKNOWN, message, path, offset=reference.offset)
            return

    def condition(self, scope: Scope, node: Node, condition: str, path: Path) -> None:
        steps = ids_in(condition, scope.visible)
        roots = condition_roots_of(node)
        written = condition
        try:
            compile_condition(written, dialect="cel", steps=steps, roots=roots)
            if node.bound:
                _check_bound(node, condition)
            # The condition in its form at run time, which is a little longer.
            written = under_input(condition, roots)
            compile_condition(written, dialect="cel", steps=steps)
        except ExpressionInvalid as error:
            message = _hiding(node, condition) or error.message
            offset = error.offset if written == condition else -1
            self._problems.add(error.reason, message, path, offset=offset, inside=condition)
            return
        for name in tasks_in_condition(condition, scope.visible):
            if name not in scope.visible:
                message = f"there is no task {name!r}{_hint(name, scope)}"
                self._problems.add(_UNKNOWN, message, path)
        for reference in paths_in_condition(condition, roots):
            self._sealed(scope, reference, path)
        for name in variables_in_condition(condition) if self._known.variables else ():
            if name and name not in self._known.variables:
                message = f"there is no variable {name!r}{nearest(name, self._known.variables)}"
                self._problems.add(_UNKNOWN, message, path)


def _check_bound(node: Node, condition: str) -> None:
    if message := _hiding(node, condition):
        raise ExpressionInvalid("EXPRESSION_INVALID", message)


def _hiding(node: Node, condition: str) -> str:
    """Return the problem of a macro whose variable hides a name; empty if none does."""
    try:
        hidden = sorted(bound_names(tokenize(condition)) & {*condition_roots_of(node)})
    except ExpressionInvalid:
        return ""
    if not hidden:
        return ""
    name = hidden[0]
    owner = (
        "map"
        if name in ITEM_NAMES
        else "loop"
        if name in node.bound - VARIABLE_NAMES
        else "workflow"
    )
    return f"{name!r} is the {owner}'s here; give the variable of the macro another name"


def _hint(name: str, scope: Scope) -> str:
    """Return a hint: the location of a task that the reference cannot see, or a similar name."""
    for around in (scope, *scope.around()):
        for body in around.bodies.values():
            if name in body.ids and body.owner is not None:
                if body.owner.map is not None:
                    return f" here; it runs in the map {body.owner.id!r}, whose output is a list"
                return f" here; it runs in {body.owner.id!r}, whose output is seen here"
    return nearest(name, scope.visible)


def _from_input(scope: Scope) -> bool:
    """Return whether the items come from the workflow's input, also through enclosing maps."""
    source = items_source(scope)
    if source is None or scope.outer is None:
        return False
    return source.root == "input" or (source.root == "item" and _from_input(scope.outer))


def check_input_field(
    reference: Reference, part: Part, parts: Parts, path: Path, problems: Problems, what: str
) -> None:
    """Refuse a field that an input schema with properties does not declare.

    A schema with `additionalProperties` allows more fields.
    """
    for key in reference.path:
        here, part = part, parts.at(part, (key,)).part
        if parts.sealed(here):
            note_sealed(reference, path, problems)
            return
        if not parts.possible(part) or (isinstance(key, str) and parts.leaves_out(here, key)):
            hint = nearest(key, parts.listed(here)) if isinstance(key, str) else ""
            message = f"{reference}: {what} has no field {key!r}{hint}"
            problems.add(_UNKNOWN, message, path, offset=reference.offset)
            return
