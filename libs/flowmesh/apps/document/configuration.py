"""The configuration of modules and steps, checked and converted by their descriptors."""

from collections.abc import Mapping

from flowmesh.apps.catalog import Descriptor, key_form, nearest_names
from flowmesh.apps.catalog.values import TEMPLATE, ValueMismatch, convert, fields_by_form
from flowmesh.apps.document.expansion import Unresolved
from flowmesh.apps.document.findings import Findings, SourcePath
from flowmesh.contract.json_value import Json
from flowmesh.expressions.references import kind_of

# Keys that every configuration may have.
_COMMON = frozenset({"description", "ui"})
_TEXTS = frozenset({"string", "filepath", "sql", "json"})


def configured(
    descriptor: Descriptor,
    raw: Json,
    at: SourcePath,
    findings: Findings,
    *,
    templates: bool = False,
) -> dict[str, Json]:
    """Return the configuration with canonical keys and defaults; report what does not fit.

    With `templates`, a text that holds a template fits every key. A secret that is not read yet
    fits every key too: one of another kind than a text has its default.
    """
    given = raw if raw is not None else {}
    if not isinstance(given, dict):
        findings.error("APP_CONFIG_INVALID", f"config must be an object, not {kind_of(given)}", at)
        given = {}
    by_form = fields_by_form(descriptor.fields)
    found: dict[str, Json] = {}
    unread: set[str] = set()
    for name, value in given.items():
        field = by_form.get(key_form(name))
        if field is None:
            if name in _COMMON or descriptor.open:
                found[name] = value
            else:
                _unknown(descriptor, name, at / name, findings)
            continue
        if field.key in found:
            message = f"{name} is a second spelling of {field.key}, which exists already"
            findings.error("APP_CONFIG_INVALID", message, at / name, at_key=True)
        if value is None:
            continue
        if isinstance(value, Unresolved) and field.kind not in _TEXTS:
            unread.add(field.key)
            continue
        if templates and isinstance(value, str) and TEMPLATE in value:
            found[field.key] = value
            continue
        try:
            found[field.key] = convert(field, value)
        except ValueMismatch as error:
            findings.error("APP_CONFIG_INVALID", f"{name} {error}", at / name)
    for field in descriptor.fields:
        if field.key in found:
            continue
        if field.default is not None:
            found[field.key] = convert(field, field.default)
        elif field.required and field.key not in unread:
            message = f"{descriptor.type} needs {field.key}: {field.text}"
            findings.error("APP_CONFIG_INVALID", message, at)
    return found


def _unknown(descriptor: Descriptor, name: str, at: SourcePath, findings: Findings) -> None:
    names = [each.key for each in descriptor.fields]
    near = nearest_names(name, names) or f"; it has {', '.join(names) or 'none'}"
    message = f"{descriptor.type} has no key {name!r}{near}"
    findings.warn("APP_KEY_UNKNOWN", message, at, at_key=True)


def section_of(kind: str, sections: Mapping[str, Json]) -> dict[str, Json]:
    """Return the top-level section that configures a module type, if the document has it."""
    beginning = kind.partition(".")[0]
    found = sections.get(kind, sections.get(beginning))
    return dict(found) if isinstance(found, dict) else {}
