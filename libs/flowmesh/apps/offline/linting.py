"""Advice on applications that are valid: likely mistakes, each with its place."""

from collections.abc import Iterator

from flowmesh.apps.catalog import key_form
from flowmesh.apps.document.findings import SourcePath
from flowmesh.apps.document.flows import texts_in
from flowmesh.apps.document.model import AppDocument, ModuleSpec
from flowmesh.apps.offline.checking import Checked
from flowmesh.contract.json_value import Json
from flowmesh.definitions.problems import Problem

LINT = "APP_LINT"
_WRITES = frozenset({"POST", "PUT", "PATCH"})
# Services that do nothing unless another part names them.
_PASSIVE = frozenset({"Database", "Cache", "Component", "Transformer", "Middleware", "HttpClient"})


def advice(checked: Checked) -> list[Problem]:
    """Return advice on a checked application, placed."""
    document = checked.document
    found = [
        Problem(LINT, message, at.keys, at.file, warning=True)
        for message, at in (
            *_unused(document),
            *_plain_secrets(document),
            *_unchecked_writes(document),
            *_forgotten_states(document),
        )
    ]
    return document.findings.placed_with(found, document.files)


def _unused(document: AppDocument) -> Iterator[tuple[str, SourcePath]]:
    """Modules that only serve others, and that nothing names."""
    named = set(texts_in([*(m.config for m in document.modules)]))
    named |= {name for m in document.modules for name in m.depends_on}
    named |= set(texts_in([w.config for w in document.workflows]))
    named |= set(texts_in([t.config for t in document.triggers]))
    for pipeline in document.all_pipelines():
        for step in (*pipeline.steps, *pipeline.compensation):
            named |= set(texts_in(step.config))
    for route in document.routes:
        named |= {route.handler, *route.middlewares}
    for module in document.modules:
        offers = set(module.descriptor.offers)
        only = len([m for m in document.modules if offers & set(m.descriptor.offers)]) == 1
        if offers and offers <= _PASSIVE | {"Handler"} and offers & _PASSIVE:
            uses = module.name in named or any(n.startswith(f"{module.name}.") for n in named)
            if not uses and not (only and "Middleware" not in offers):
                yield f"nothing names the module {module.name} ({module.type})", module.at


def _plain_secrets(document: AppDocument) -> Iterator[tuple[str, SourcePath]]:
    """Sensitive values that are written in the file."""
    for module in document.modules:
        raw = _raw_config(document, module)
        sensitive = {key_form(f.key): f.key for f in module.descriptor.fields if f.sensitive}
        for key, value in raw.items():
            known = sensitive.get(key_form(key))
            if known is None or not isinstance(value, str) or not value or "${" in value:
                continue
            # An address is secret only with the credentials in it.
            if known != "dsn" or "@" in value:
                message = f"{key} is written in the file; take ${{NAME}} of the environment"
                yield message, module.at / "config" / key


def _raw_config(document: AppDocument, module: ModuleSpec) -> dict[str, Json]:
    raw: Json = document.files[module.at.file].source.documents[0]
    for key in (*module.at.keys, "config"):
        if isinstance(raw, dict):
            raw = raw.get(key)
        elif isinstance(raw, list) and isinstance(key, int) and key < len(raw):
            raw = raw[key]
        else:
            return {}
    return raw if isinstance(raw, dict) else {}


def _unchecked_writes(document: AppDocument) -> Iterator[tuple[str, SourcePath]]:
    """Routes that change rows by a body that nothing validates."""
    for route in document.routes:
        if route.pipeline is None or route.method not in _WRITES:
            continue
        kinds = {step.type for step in route.pipeline.steps}
        if "step.db_exec" in kinds and "step.validate" not in kinds:
            message = f"{route.method} {route.path} changes rows without a step.validate"
            yield message, route.at


def _forgotten_states(document: AppDocument) -> Iterator[tuple[str, SourcePath]]:
    """Machines and resources whose state ends with the process."""
    if any(each.type == "persistence.store" for each in document.modules):
        return
    for module in document.modules:
        if module.type in ("statemachine.engine", "api.handler"):
            message = f"{module.name} keeps its state in memory; add a persistence.store"
            yield message, module.at
