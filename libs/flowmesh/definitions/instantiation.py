"""Resources made from a template: `${{ name }}` and `${{ param.x }}` are replaced by given values.

A string that is exactly one placeholder becomes the value with its type. Inside a longer text, a
value is written as text, objects as JSON. `{{ }}` belongs to the workflow and is not touched.
"""

import re
from collections.abc import Iterator

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.definitions.canonical import json_bytes
from flowmesh.definitions.formats.load import load
from flowmesh.definitions.model import WorkflowTemplate
from flowmesh.definitions.problems import Path, Problems
from flowmesh.errors import Invalid, Violation
from flowmesh.plan.schemas import Schema

# Label that names the template of a workflow.
TEMPLATE_LABEL = "flowmesh.io/template"
_OPEN = "${{"
_PLACE = re.compile(r"\$\{\{\s*(name|param\.([A-Za-z_][\w-]*))\s*\}\}")
_SAMPLE_NAME = "sample"


def instantiate(
    template: WorkflowTemplate, name: str, parameters: dict[str, Json]
) -> list[dict[str, Json]]:
    """Return the documents of a checked template. Raises PARAMETERS_INVALID with every problem.

    Workflows among them carry a label that names the template.
    """
    given = _with_defaults(template.parameters, parameters)
    _refuse_unknown(template, parameters)
    found = Schema(json_bytes(template.parameters or {})).problems(given)
    if found:
        violations = tuple(
            Violation(f"parameters{problem.path}", problem.message, "PARAMETERS_INVALID")
            for problem in found
        )
        message = f"parameters of {template.name}: {violations[0].field}: {found[0].message}"
        raise Invalid("PARAMETERS_INVALID", message, violations=violations)
    documents = [_filled(resource, name, given) for resource in template.resources]
    return [_labelled(document, template.name) for document in documents]


def check_template(template: WorkflowTemplate, problems: Problems) -> None:
    """Note the problems of the placeholders, and of the resources made from the defaults."""
    base = (*template.path, "resources")
    names = _declared(template.parameters)
    before = len(problems.found)
    for text, path in _texts(list(template.resources), base):
        if text.count(_OPEN) != len(_PLACE.findall(text)):
            message = "a place is written ${{ name }} or ${{ param.x }}"
            problems.add("TEMPLATE_INVALID", message, path)
        for _, parameter in _PLACE.findall(text):
            if parameter and parameter not in names:
                known = ", ".join(names) or "none"
                message = f"there is no parameter {parameter!r}; declared: {known}"
                problems.add("TEMPLATE_UNKNOWN_REFERENCE", message, path)
    if len(problems.found) == before:
        _check_sample(template, base, problems)


def _check_sample(template: WorkflowTemplate, base: Path, problems: Problems) -> None:
    """Check that the resources made from the defaults and examples are readable, if complete."""
    sample = _with_defaults(template.parameters, _examples(template.parameters))
    if not _required(template.parameters) <= sample.keys():
        return
    for index, resource in enumerate(template.resources):
        found = Problems(problems.document)
        load(_filled(resource, _SAMPLE_NAME, sample), found)
        for problem in found.found:
            if not problem.warning:
                path = (*base, index, *problem.path)
                problems.add(problem.code, problem.message, path, at_key=problem.at_key)


def _declared(schema: Json) -> dict[str, Json]:
    members = schema.get("properties") if isinstance(schema, dict) else None
    return members if isinstance(members, dict) else {}


def _required(schema: Json) -> set[str]:
    names = schema.get("required") if isinstance(schema, dict) else None
    return set(names) if isinstance(names, list) else set()


def _with_defaults(schema: Json, given: dict[str, Json]) -> dict[str, Json]:
    defaults = {
        name: member["default"]
        for name, member in _declared(schema).items()
        if isinstance(member, dict) and "default" in member
    }
    return defaults | given


def _examples(schema: Json) -> dict[str, Json]:
    return {
        name: member["examples"][0]
        for name, member in _declared(schema).items()
        if isinstance(member, dict) and isinstance(member.get("examples"), list)
        if member["examples"]
    }


def _refuse_unknown(template: WorkflowTemplate, given: dict[str, Json]) -> None:
    names = _declared(template.parameters)
    unknown = [name for name in given if name not in names]
    if unknown:
        known = ", ".join(names) or "none"
        violations = tuple(
            Violation(f"parameters.{name}", f"is not known; known: {known}", "PARAMETERS_INVALID")
            for name in unknown
        )
        message = f"{template.name} has no parameter {unknown[0]!r}; known: {known}"
        raise Invalid("PARAMETERS_INVALID", message, violations=violations)


def _filled(value: Json, name: str, given: dict[str, Json]) -> Json:
    """Return a copy with every placeholder replaced; nesting is bounded as in definitions."""
    if isinstance(value, dict):
        return {key: _filled(item, name, given) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, name, given) for item in value]
    if not isinstance(value, str) or _OPEN not in value:
        return value

    def of(match: re.Match[str]) -> Json:
        return name if match[1] == "name" else given.get(match[2])

    whole = _PLACE.fullmatch(value)
    return of(whole) if whole else _PLACE.sub(lambda match: _text(of(match)), value)


def _text(value: Json) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _labelled(document: dict[str, Json], template: str) -> dict[str, Json]:
    metadata = document.get("metadata")
    if document.get("kind") == "Workflow" and isinstance(metadata, dict):
        labels = {**(metadata.get("labels") or {}), TEMPLATE_LABEL: template}
        return document | {"metadata": metadata | {"labels": labels}}
    if "steps" in document:
        return document | {"labels": {**(document.get("labels") or {}), TEMPLATE_LABEL: template}}
    return document


def _texts(value: Json, path: Path) -> Iterator[tuple[str, Path]]:
    """Yield every string with its path."""
    waiting: list[tuple[Json, Path]] = [(value, path)]
    while waiting:
        item, at = waiting.pop()
        if isinstance(item, str):
            yield item, at
        elif isinstance(item, dict):
            waiting.extend((each, (*at, key)) for key, each in item.items())
        elif isinstance(item, list):
            waiting.extend((each, (*at, index)) for index, each in enumerate(item))
