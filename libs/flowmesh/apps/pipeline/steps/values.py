"""Steps over values: validate, transform, conditional, set, log, jq."""

from typing import Any

from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.pipeline.conditions import compile_expression
from flowmesh.apps.pipeline.context import StepContext
from flowmesh.apps.pipeline.run import Output, Run, StepCall
from flowmesh.apps.pipeline.templates import Render, as_text, compile_path
from flowmesh.apps.wiring.ports import SANDBOX, TRANSFORMER, VALIDATOR
from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid

VIOLATIONS_MAX = 50
_EMPTY: Output = {}
# The key that a strategy of step.validate needs.
_CHECKED = {"json_schema": "schema", "required_fields": "required_fields"}


def _source(context: StepContext) -> Render:
    found = context.path("source")
    return found if found is not None else (lambda run: run.current)


def validate(context: StepContext) -> StepCall:
    """Compile step.validate: all violations at once, with 422."""
    config = context.spec.config
    source = _source(context)
    checks: list[Any] = []
    required = config.get("required_fields")
    if required:
        checks.append(lambda value: _missing(value, required))
    schema = config.get("schema")
    if isinstance(schema, str):
        find = context.services.later(VALIDATOR, schema)
        checks.append(lambda value: find()(value))  # noqa: PLW0108 - found at the first call
    elif schema is not None:
        check = compile_schema(schema, context)
        if check is not None:
            checks.append(check)
    needed = _CHECKED.get(str(config.get("strategy") or ""), "")
    if not checks or (needed and not config.get(needed)):
        text = f"step.validate needs {needed or 'required_fields or a schema'}"
        context.error("APP_CONFIG_INVALID", text)

    def call(run: Run) -> Output:
        value = source(run)
        if value is run.current and not run.triggered and run.request and run.request.body:
            body = run.request.json()
            value = {**run.current, **body} if isinstance(body, dict) else run.current
        found = [each for check in checks for each in check(value)]
        if found:
            text = (
                f"{len(found)} of the values do not fit" if len(found) > 1 else found[0]["message"]
            )
            raise HttpProblem(422, "VALIDATION_FAILED", text, violations=found[:VIOLATIONS_MAX])
        return _EMPTY

    return call


def _missing(value: Json, required: list[str]) -> list[dict[str, Json]]:
    found = []
    for name in required:
        inner: Json = value
        for key in name.split("."):
            inner = inner.get(key) if isinstance(inner, dict) else None
        if inner is None or inner == "":
            found.append({"field": name, "message": f"{name} is missing"})
    return found


def compile_schema(schema: Json, context: StepContext) -> Any:
    """Compile a JSON Schema; report one that is invalid."""
    try:
        validator = validator_of(schema, "not a JSON Schema")
    except Invalid as error:
        context.error(error.reason, error.message, "schema")
        return None
    return lambda value: violations_of(validator, value)


def validator_of(schema: Json, what: str, draft: str = "") -> Any:
    """Compile a JSON Schema, of the draft that it names by default.

    Raises Invalid, whose message begins with `what`.
    """
    from flowmesh.schemas.compiling import RemoteReference, compiled

    try:
        return compiled(schema, validate_formats=True, draft=draft)
    except RemoteReference as error:
        raise Invalid("SCHEMA_REMOTE_REF", f"{what}: {error}") from None
    except ValueError as error:
        raise Invalid("SCHEMA_INVALID", f"{what}: {error}") from None


def violations_of(validator: Any, value: Json) -> list[dict[str, Json]]:
    """Return what does not fit, with the field and the keyword."""
    found = []
    for each in validator.iter_errors(value):
        path = ".".join(map(str, each.instance_path))
        keyword = str(each.schema_path[-1]) if each.schema_path else ""
        found.append({"field": path, "message": each.message, "keyword": keyword})
        if len(found) == VIOLATIONS_MAX:
            break
    return found


def transform(context: StepContext) -> StepCall:
    """Compile step.transform: operations, or a pipeline of a transformer."""
    config = context.spec.config
    source = _source(context)
    operations = config.get("operations")
    transformer, name = str(config.get("transformer") or ""), str(config.get("pipeline") or "")
    if operations is None:
        if not transformer:
            context.error("APP_CONFIG_INVALID", "step.transform needs operations or transformer")
        find = context.services.later(TRANSFORMER, transformer)

        async def delegated(run: Run) -> Output:
            return {"data": await find().transform(name, source(run))}

        return delegated
    if transformer or name:
        text = "step.transform has operations, or a transformer with its pipeline, not both"
        context.error("APP_CONFIG_INVALID", text)
    from flowmesh.apps.pipeline.transforming import compile_operations

    apply = context.checked(
        "operations", lambda: compile_operations(operations, context.compiling.problems)
    )

    def call(run: Run) -> Output:
        return {"data": apply(source(run))}

    return call


def conditional(context: StepContext) -> StepCall:
    """Compile step.conditional: the text form of a value picks the next step."""
    config = context.spec.config
    compiling = context.compiling
    value = _branching(context)
    if value is None:
        context.error("APP_CONFIG_INVALID", "step.conditional needs field or expression")
        return lambda _run: _EMPTY
    routes = {as_text(key): str(step) for key, step in (config.get("routes") or {}).items()}
    default = str(config.get("default") or "")
    for case in config.get("cases") or ():
        if case not in routes and not default:
            message = f"the case {case!r} has no route, and there is no default"
            context.error("STEP_UNKNOWN", message, "cases")
    # In a flow of modules, the steps of other branches are left out instead of jumped over.
    jumps = not config.get("in_flow")
    for name in {*routes.values(), default} - {""}:
        if name not in compiling.steps:
            context.error(
                "STEP_UNKNOWN", f"there is no step {name!r} in {context.pipeline}", "routes"
            )

    def call(run: Run) -> Output:
        text = as_text(value(run))
        step = routes.get(text)
        if step is None:
            if not default:
                known = ", ".join(routes)
                raise HttpProblem(422, "NO_BRANCH", f"no branch for {text[:80]!r}; known: {known}")
            run.next = default if jumps else ""
            return {"matched_value": text, "next_step": default, "used_default": True}
        run.next = step if jumps else ""
        return {"matched_value": text, "next_step": step, "used_default": False}

    return call


def _branching(context: StepContext) -> Render | None:
    """Return the value that picks a branch: of the expression, else of the field.

    With both, the field decides where the expression has no value or cannot be evaluated.
    """
    config, compiling = context.spec.config, context.compiling
    expression, field = config.get("expression"), config.get("field")
    named: Render | None = None
    if isinstance(field, str) and field:
        path: str = field
        named = context.checked("field", lambda: compile_path(path, compiling))
    if not isinstance(expression, str) or not expression:
        return named
    text: str = expression
    if named is None:
        return context.checked("expression", lambda: compile_expression(text, compiling))
    before = len(compiling.problems)
    computed, of_field = compile_expression(text, compiling), named
    if wrong := compiling.problems[before:]:
        del compiling.problems[before:]
        message = f"{wrong[0]}; the field {field} decides instead"
        context.warn("EXPRESSION_INVALID", message, "expression")
        return named

    def value(run: Run) -> Json:
        found = computed(run)
        return of_field(run) if found is None else found

    return value


def set_values(context: StepContext) -> StepCall:
    """Compile step.set."""
    render = context.value("values")
    return lambda run: render(run) if render is not None else _EMPTY


def log(context: StepContext) -> StepCall:
    """Compile step.log."""
    message, fields = context.value("message"), context.value("fields")
    level, place = str(context.spec.config["level"]), f"{context.pipeline}/{context.spec.name}"
    write = context.log.write

    def call(run: Run) -> Output:
        text = as_text(message(run)) if message is not None else ""
        given = fields(run) if fields is not None else {}
        write(level, place, text, **given)
        return _EMPTY

    return call


def jq(context: StepContext) -> StepCall:
    """Compile step.jq: the program runs in the sandbox."""
    program, given = context.value("program"), context.value("input")
    find = context.services.later(SANDBOX, "")

    async def call(run: Run) -> Output:
        from flowmesh.sandbox import SandboxFailure

        value = given(run) if given is not None else run.current
        assert program is not None
        try:
            outputs = await find().evaluate("jq", program(run), value, {}, 5_000)
        except SandboxFailure as error:
            raise HttpProblem(422, "JQ_FAILED", str(error)) from None
        return {"result": outputs[0] if outputs else None, "results": outputs}

    return call
