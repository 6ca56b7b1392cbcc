"""Modules of plugins: each is a component whose calls go to granted endpoints only."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import orjson

from flowmesh.apps.components.plugins import PluginType
from flowmesh.apps.components.process import Limits
from flowmesh.apps.document.expansion import Unresolved
from flowmesh.apps.http.messages import json_or_text
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.modules.module import UNSUPPORTED, Module, Setting
from flowmesh.apps.modules.outbound.components import HTTP_S, Capabilities, Component
from flowmesh.contract.json_value import Json
from flowmesh.contract.plugin_functions import plugin_of
from flowmesh.errors import Invalid, NotFound, Violation
from flowmesh.sandbox.modules import IMPORTS

if TYPE_CHECKING:
    from flowmesh.egress import Egress

# The object that the function of a plugin gets beside its input.
_MODULE: Final = """
class Module:
    def __init__(self, config, settings):
        self.config, self.settings = config, settings

    def http(self, method, url, body=None, headers=None):
        return host.http(method, url, body, headers)

    def log(self, message, level="info"):
        host.log(message, level)


def init(given):
    global module
    module = Module(given["config"], given["settings"])


def execute(params):
    return function(params, module)
"""


def plugin(setting: Setting) -> Module:
    """Build a module of an installed plugin.

    Raises NotFound for one that is not installed, Invalid for a configuration that its schema
    refuses, and for an application that no host runs.
    """
    name = plugin_of(setting.spec.type)
    types = setting.context.plugins
    if types is None:
        text = "modules of plugins run in a suite: deploy the application"
        raise Invalid(UNSUPPORTED, f"{setting.name}: {text}")
    found = types.get(name)
    if found is None:
        text = f"the namespace has no plugin {name!r} of the kind module-type"
        hint = f"`flowmesh plugin install {name}` installs it"
        raise NotFound("PLUGIN_NOT_FOUND", f"{setting.name}: {text}; {hint}")
    calls = PluginCalls(setting, name, found)
    made = Component(
        name=setting.name,
        source=source_of(found),
        config={"config": configured(setting, found), "settings": orjson.loads(found.settings)},
        limits=Limits(),
        ask=calls.ask,
        log=setting.log,
    )

    async def stop() -> None:
        await made.stop()
        await calls.stop()

    return Module(
        name=setting.name,
        services={"Component": made},
        start=made.start,
        stop=stop,
        health=made.health,
    )


def source_of(found: PluginType) -> str:
    """Return the source of a component that calls the function of a plugin."""
    given = f"modules, handler = {dict(found.modules)!r}, {found.handler!r}\n"
    return f"{given}{IMPORTS}{_MODULE}"


def configured(setting: Setting, found: PluginType) -> dict[str, Json]:
    """Return the configuration of a module with the defaults of its schema. Raises Invalid.

    A secret that is not read yet fits every place.
    """
    from flowmesh.schemas.compiling import compiled, with_defaults

    schema = orjson.loads(found.config_schema)
    config = with_defaults(schema, setting.config)
    problems = [
        (".".join(map(str, each.instance_path)), each.message)
        for each in compiled(schema).iter_errors(orjson.loads(orjson.dumps(config)))
        if not isinstance(_value_at(config, each.instance_path), Unresolved)
    ]
    if problems:
        text = "; ".join(f"{place}: {said}" if place else said for place, said in problems[:10])
        violations = tuple(Violation(*each, "APP_CONFIG_INVALID") for each in problems)
        raise Invalid("APP_CONFIG_INVALID", f"{setting.name}: {text}", violations=violations)
    return config


def _value_at(value: Json, path: list[str | int]) -> Json:
    for key in path:
        value = value[key]
    return value


class PluginCalls:
    """The requests of the modules of a plugin: to the endpoints that its installation grants."""

    def __init__(self, setting: Setting, name: str, found: PluginType) -> None:
        self._policy, self._name = setting.context.policy, name
        self._granted = frozenset(found.connect)
        self._others = Capabilities(setting, setting.name, [])
        self._egress: Egress | None = None

    async def ask(self, capability: str, values: Mapping[str, Json]) -> Json:
        """Do what a module asks for. Raises HttpProblem if it is not granted."""
        if capability == "http":
            return await self._http(values)
        return await self._others.ask(capability, values)

    async def stop(self) -> None:
        if self._egress is not None:
            await self._egress.__aexit__()

    async def _http(self, values: Mapping[str, Json]) -> Json:
        """Send a request. A redirect is the answer itself: it may lead to another endpoint."""
        from flowmesh.egress import Egress, EgressFailure
        from flowmesh.egress.client import check_url

        headers, body = values.get("headers"), values.get("body")
        given = {str(k): str(v) for k, v in headers.items()} if isinstance(headers, dict) else {}
        content = None if body is None else orjson.dumps(body)
        if content is not None:
            given.setdefault("Content-Type", "application/json")
        try:
            url = check_url(str(values.get("url")))
            endpoint = f"{url.host_subcomponent}:{url.port}".lower()
            if endpoint not in self._granted:
                text = f"the plugin {self._name} was not granted: connect {endpoint}"
                raise HttpProblem(403, "CAPABILITY_MISSING", text)
            if self._egress is None:
                self._egress = await Egress(self._policy).__aenter__()
            answer = await self._egress.send(
                str(values.get("method") or "GET"),
                str(url),
                headers=given,
                body=content,
                timeout_ms=round(HTTP_S * 1_000),
                redirects_max=0,
            )
        except EgressFailure as error:
            raise HttpProblem(502, "UPSTREAM_FAILED", str(error)) from None
        answered = json_or_text(answer.body)
        return {"status": answer.status, "headers": answer.headers, "body": answered}
