"""Stored and bundled templates, and workflows made from them."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import yaml

from flowmesh.definition import limits
from flowmesh.definition.catalog import VERSION_MAX, DefinitionCatalog, request_of
from flowmesh.definition.paging import page_size
from flowmesh.definition.registration import applied_of
from flowmesh.definition.storage.records import (
    Action,
    Applied,
    Author,
    ChangeDetails,
    Request,
    TemplateUse,
    TemplateVersion,
)
from flowmesh.definition.storage.store import DefinitionStore
from flowmesh.definitions import (
    Problem,
    instantiate,
    load_template,
    refuse,
    warnings_in,
)
from flowmesh.definitions.bundled import bundled_templates
from flowmesh.errors import Invalid, NotFound, Violation
from flowmesh.jsontext import parse_json
from flowmesh.rpc import last_of_token, page_token

_BUNDLED_AT = datetime.fromtimestamp(0, UTC)
_YAML = "application/yaml"


class Templates:
    """Queries and instantiation of the templates of all namespaces."""

    def __init__(self, *, store: DefinitionStore, catalog: DefinitionCatalog) -> None:
        self._store = store
        self._catalog = catalog
        self._bundled = {
            document["metadata"]["name"]: _bundled(document) for document in bundled_templates()
        }

    async def template(self, namespace: str, name: str, version: int) -> TemplateVersion:
        found = None
        if version <= VERSION_MAX:
            found = await self._store.templates.version(namespace, name, version)
        if found is None and not version:
            found = self._bundled.get(name)
        if found is None:
            which = f" in version {version}" if version else ""
            raise NotFound("TEMPLATE_NOT_FOUND", f"there is no template {name!r}{which}")
        return found

    async def templates(
        self, namespace: str, *, size: int, token: str
    ) -> tuple[list[TemplateVersion], str]:
        """Return templates by name; a stored template hides the bundled one of the same name."""
        page = f"templates/{namespace}"
        after, count = last_of_token(token, page), page_size(size)
        stored, more = await self._store.templates.page(namespace, after=after, count=count)
        upto = stored[-1].name if more else None
        names = {template.name for template in stored}
        bundled = [
            template
            for template in self._bundled.values()
            if template.name > after
            and template.name not in names
            and (upto is None or template.name < upto)
        ]
        merged = sorted((*stored, *bundled), key=lambda template: template.name)
        found, more = merged[:count], more or len(merged) > count
        return found, page_token(page, found[-1].name) if more else ""

    async def delete(self, namespace: str, name: str, author: Author, request_id: str) -> None:
        request = request_of(request_id, b"delete-template", name.encode())
        async with self._store.change(namespace) as change:
            if request is not None and await change.claim(request) is not None:
                return
            version = await change.retire_template(name)
            if version is None:
                own = "; bundled templates cannot be deleted" if name in self._bundled else ""
                message = f"there is no template {name!r} to delete{own}"
                raise NotFound("TEMPLATE_NOT_FOUND", message)
            details = ChangeDetails(
                "WorkflowTemplate", name, Action.DELETED, previous_version=version
            )
            await change.add_change(details, author)
            if request is not None:
                await change.store_answer(request, True)

    async def instantiate(
        self,
        namespace: str,
        name: str,
        version: int,
        target: str,
        parameters: bytes,
        author: Author,
        request_id: str,
        *,
        dry_run: bool,
    ) -> tuple[list[Applied], list[Problem], bytes]:
        """Make a workflow from a template. Return the resources, the warnings and the source."""
        request = None if dry_run else _request_of(request_id, name, version, target, parameters)
        if request is not None:
            earlier = await self._store.answer(namespace, request)
            if earlier is not None:
                return applied_of(earlier), [], earlier["source"].encode()
        found = await self.template(namespace, name, version)
        template = load_template(orjson.loads(found.definition))
        documents = instantiate(template, target, _object(parameters))
        source = yaml.dump_all(
            documents,
            Dumper=_Plain,
            sort_keys=False,
            allow_unicode=True,
            width=limits.YAML_COLUMNS,
        ).encode()
        if not dry_run:
            applied, checked = await self._catalog.apply_as(
                request, namespace, source, _YAML, author
            )
            return applied, warnings_in(checked.problems), source
        checked = await self._catalog.validate(namespace, source, _YAML)
        refuse(checked.problems)
        return [], warnings_in(checked.problems), source

    async def use(self, namespace: str) -> TemplateUse:
        """Count the workflows made from templates."""
        return await self._store.templates.usage(namespace)


class _Plain(yaml.SafeDumper):
    """A dumper without YAML aliases: a repeated value is written again."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _request_of(
    request_id: str, name: str, version: int, target: str, parameters: bytes
) -> Request | None:
    """Make a request from the arguments only: the template may have changed before a repeat."""
    content = f"{name}\0{version}\0{target}\0".encode() + parameters
    request = request_of(request_id, b"instantiate", content)
    return replace(request, with_source=True) if request is not None else None


def _bundled(document: dict[str, Any]) -> TemplateVersion:
    body = orjson.dumps(document)
    return TemplateVersion(
        namespace="",
        name=document["metadata"]["name"],
        version=0,
        digest=hashlib.sha256(body).hexdigest(),
        definition=body,
        labels=document["metadata"].get("labels", {}),
        created_at=_BUNDLED_AT,
    )


def _object(parameters: bytes) -> dict[str, Any]:
    if not parameters:
        return {}
    what = "parameters must be a JSON object"
    try:
        value = parse_json(parameters, "parameters")
    except Invalid as error:
        value, what = None, error.message
    if not isinstance(value, dict):
        raise Invalid(
            "PARAMETERS_INVALID",
            what,
            violations=(Violation("parameters", what, "PARAMETERS_INVALID"),),
        )
    return value
