"""Values of Serverless Workflow documents: expressions, durations, schemas."""

from collections.abc import Collection
from dataclasses import dataclass, field

import orjson

from flowmesh.contract.durations import iso_duration_ms
from flowmesh.contract.json_value import Json
from flowmesh.definitions import limits
from flowmesh.definitions.problems import Path, Problems
from flowmesh.definitions.reading.reader import Reader
from flowmesh.standards.jq_values import (
    EXPRESSION_CHARACTERS_MAX,
    MalformedExpression,
    expressions_in,
    program_of,
    secrets_in,
    single,
    unwrap,
    uri_program,
    variables_in,
)

JsonObject = dict[str, Json]

# Names available to expressions besides variables of enclosing blocks.
ALWAYS = frozenset({"workflow", "runtime"})
IN_TASK = ALWAYS | {"context", "task"}
_BATCH_CHARACTERS_MAX = 32 * 1024
UNITS_MS = {
    "days": 86_400_000,
    "hours": 3_600_000,
    "minutes": 60_000,
    "seconds": 1_000,
    "milliseconds": 1,
}


def unsupported(problems: Problems, feature: str, path: Path, why: str) -> None:
    """Refuse a feature of the standard by its name, with the reason or the alternative."""
    problems.add("FEATURE_UNSUPPORTED", f"{feature} is not supported: {why}", path)


@dataclass(slots=True)
class Expressions:
    """Compiler of values for the worker; all programs are checked at the end."""

    problems: Problems
    # Names that `use.secrets` declares.
    secrets: frozenset[str] = frozenset()
    # Sources, their paths, and the variables available there.
    _waiting: list[tuple[str, Path, frozenset[str]]] = field(default_factory=list)

    def expression(self, text: str, path: Path, names: Collection[str]) -> JsonObject:
        """Return a text that is an expression, with or without `${ }`."""
        source = unwrap(text)
        self._check(source, path, names)
        return {"jq": single(source)}

    def value(self, value: Json, path: Path, names: Collection[str]) -> JsonObject:
        """Return a value that may hold expressions in `${ }`."""
        try:
            found = expressions_in(value)
        except MalformedExpression as error:
            message = f"`${{` without its end, at {str(error)!r}"
            self.problems.add("EXPRESSION_INVALID", message, path)
            return {"value": None}
        if not found:
            return {"value": value}
        for each in found:
            self._check(each.source, (*path, *each.path), names)
        return {"jq": program_of(value)}

    def program(self, value: Json, path: Path, names: Collection[str]) -> str:
        """Return a value as a program, to be part of another one."""
        made = self.value(value, path, names)
        return str(made["jq"]) if "jq" in made else orjson.dumps(made["value"]).decode()

    def mapped(self, value: Json, path: Path, names: Collection[str]) -> JsonObject:
        """Return one expression, or an object with expressions in it."""
        if isinstance(value, str):
            return self.expression(value, path, names)
        return self.value(value, path, names)

    def uri(self, text: str, path: Path, names: Collection[str]) -> str:
        """Return the program of an endpoint."""
        if "${" in text:
            return str(self.value(text, path, names).get("jq", "null"))
        return uri_program(text)

    def _check(self, source: str, path: Path, names: Collection[str]) -> None:
        if not source:
            self.problems.add("EXPRESSION_INVALID", "the expression is empty", path)
        elif len(source) > EXPRESSION_CHARACTERS_MAX:
            message = f"an expression has at most {EXPRESSION_CHARACTERS_MAX} characters"
            self.problems.add("EXPRESSION_TOO_COMPLEX", message, path)
        elif not self._is_about_secrets(source, path, names):
            self._waiting.append((source, path, frozenset(names)))

    def _is_about_secrets(self, source: str, path: Path, names: Collection[str]) -> bool:
        """Return whether it uses unknown secrets, or secrets where they would be stored."""
        used = secrets_in(source)
        if used is not None and not used:
            return False
        unknown = sorted((used or frozenset()) - self.secrets)
        if "secrets" not in names:
            message = (
                "$secrets may be used in `with` and `input.from` of `call: http` and "
                "`call: openapi`, and in arguments of scripts; elsewhere it would be stored"
            )
        elif unknown:
            message = f"use.secrets has no {unknown[0][:64]!r}"
        else:
            return False
        self.problems.add("EXPRESSION_INVALID", message, path)
        return True

    def check_all(self) -> None:
        """Compile the collected programs with all variables of the document.

        A program that uses a variable unavailable at its place is compiled again with its own
        variables.
        """
        if self.problems.checked:
            return
        everywhere = sorted(frozenset().union(*(names for _, _, names in self._waiting)))
        programs = [single(source) for source, _, _ in self._waiting]
        errors = _errors(list(dict.fromkeys(programs)), everywhere)
        for program, (source, path, names) in zip(programs, self._waiting, strict=True):
            why = errors[program]
            if not why and variables_in(source).intersection(everywhere) - names:
                why = _errors([program], sorted(names))[program]
            if why:
                self.problems.add("EXPRESSION_INVALID", f"not jq: {why}", path)
            if self.problems.full:
                return


def _errors(programs: list[str], names: list[str]) -> dict[str, str]:
    """Return the compile error of each program, empty if there is none.

    Compiling many programs takes about as long as one, so they are compiled together.
    """
    # The interpreter is an optional dependency of documents with expressions.
    from flowmesh.sandbox import jq_errors

    errors = dict.fromkeys(programs, "")
    batches = [[program] for program in programs[:1]]
    for program in programs[1:]:
        if sum(map(len, batches[-1])) + len(program) < _BATCH_CHARACTERS_MAX:
            batches[-1].append(program)
        else:
            batches.append([program])
    together = [",\n".join(batch) for batch in batches]
    wrong = zip(batches, jq_errors(together, names), strict=True)
    suspects = [program for batch, why in wrong if why for program in batch]
    errors.update(zip(suspects, jq_errors(suspects, names), strict=True))
    return errors


def duration_of(reader: Reader, key: str) -> int | None:
    """Return a constant duration in ms, 0 if missing or wrong; None if it is an expression."""
    value = reader.raw(key)
    if isinstance(value, str):
        if "${" in value:
            return None
        found = iso_duration_ms(value)
        if found is None or found > limits.DELAY_MS_MAX:
            reader.wrong(
                key, 'an ISO 8601 duration such as "PT15S", or an object', "TIMEOUT_INVALID"
            )
        return found or 0
    if value is None and key not in reader.value:
        return 0
    if not isinstance(value, dict):
        reader.wrong(key, "a duration such as {seconds: 15}", "TIMEOUT_INVALID")
        return 0
    parts = reader.object(key)
    if not parts.value:
        reader.problems.add("TIMEOUT_INVALID", "the duration is empty", parts.path)
    most = float(limits.DELAY_MS_MAX)
    total = sum(
        parts.number(unit, 0, 0, most, "TIMEOUT_INVALID") * ms for unit, ms in UNITS_MS.items()
    )
    parts.refuse_unknown()
    if total > most:
        message = f"a duration is at most {limits.DELAY_MS_MAX} ms"
        reader.problems.add("TIMEOUT_INVALID", message, parts.path)
        return 0
    return round(total)


def timeout_of(reader: Reader, timeouts: Reader) -> int:
    """Return the `timeout` of a workflow or task in ms, inline or named in `use.timeouts`."""
    value = reader.raw("timeout")
    if value is None:
        return 0
    holder = reader
    if isinstance(value, str):
        if value not in timeouts.value:
            message = f"use.timeouts has no {value[:64]!r}"
            reader.problems.add("DEFINITION_INVALID", message, (*reader.path, "timeout"))
            return 0
        timeouts.has(value)
        limit = timeouts.object(value)
    else:
        limit = holder.object("timeout")
    if not limit.has("after"):
        limit.missing("after", "a duration")
    found = duration_of(limit, "after")
    limit.refuse_unknown()
    if found is None:
        path, why = (*limit.path, "after"), "write the duration out"
        unsupported(reader.problems, "an expression as timeout", path, why)
        return 0
    if found > limits.TIMEOUT_MS_MAX:
        message = f"a timeout is at most {limits.TIMEOUT_MS_MAX} ms"
        reader.problems.add("TIMEOUT_INVALID", message, limit.path)
    return found


def schema_of(reader: Reader, key: str = "schema") -> Json:
    """Return the JSON Schema of a `schema` member; None if missing or wrong."""
    # Imported here: the checks read definitions, and the formats belong to those.
    from flowmesh.definitions.schema_checks import check_schema

    if not reader.has(key):
        return None
    schema = reader.object(key)
    form = schema.text("format") or "json"
    if form.partition(":")[0] != "json":
        path, why = (*schema.path, "format"), "values are JSON: use json"
        unsupported(schema.problems, f"schema format {form[:32]!r}", path, why)
    if schema.has("resource"):
        path, why = (*schema.path, "resource"), "write the schema as document"
        unsupported(schema.problems, "schema.resource", path, why)
    document = schema.raw("document")
    schema.refuse_unknown()
    sound = check_schema(document, (*schema.path, "document"), schema.problems)
    return document if sound else None
