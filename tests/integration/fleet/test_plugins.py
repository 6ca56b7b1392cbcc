"""Plugins of a signed catalogue in a database: installed, changed, shared, and removed."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from flowmesh.access import Principal, acting_as
from flowmesh.access.roles import OPERATE
from flowmesh.api.apphost.v1 import app_service_pb2
from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.api.definition.v1 import definition_service_pb2 as definitions
from flowmesh.api.fleet.v1 import agent_pb2, plugin_pb2
from flowmesh.api.fleet.v1 import plugin_service_pb2 as pb
from flowmesh.api.identity.v1 import provider_service_pb2 as providers
from flowmesh.egress import Egress, Policy
from flowmesh.errors import Conflict, Forbidden, Invalid, NotFound, WrongState
from flowmesh.fleet.driving.isolation import IsolationRules
from flowmesh.fleet.fleet import Fleet
from flowmesh.fleet.plugins.plugins import Plugins
from flowmesh.fleet.plugins.reading import Reader
from flowmesh.fleet.plugins.server import PluginServer
from flowmesh.fleet.plugins.usage import Usage
from flowmesh.fleet.storage.pins import PinStore
from flowmesh.fleet.storage.store import MIGRATIONS, SCHEMA, FleetStore
from flowmesh.plugins import signing
from flowmesh.plugins.catalogue import Catalogue
from flowmesh.sandbox import Sandbox
from flowmesh.storage import open_database
from tests.features.plugins.market import Market
from tests.stubs import Stub

HOST = {"host": "mail.example"}
CONNECT = "connect mail.example:7"
LOGIN = """
name = "badge"
version = "1.0.0"
kind = "login"
summary = "Read a badge."
[login]
function = "badge.tasks:login"
"""
BROKEN = """
name = "broken"
version = "1.0.0"
kind = "transform"
summary = "Fail."
self_test = "broken.tasks:test"
[transform]
function = "broken.tasks:test"
"""


class Standing(IsolationRules):
    """A machine with all walls."""

    async def check(self, wanted: Any, program: str = "") -> agent_pb2.Isolation.ValueType:
        return agent_pb2.ISOLATION_SANDBOX


@dataclass
class Shop:
    """The service of plugins, and the services that it calls."""

    server: PluginServer
    pins: PinStore
    store: FleetStore
    suite: Stub
    namespace: str = "labs"
    accepted: list[str] = field(default_factory=list)

    async def call(self, method: str, **members: Any) -> Any:
        kind = getattr(pb, f"{method}Request")
        answer = getattr(self.server, method)(kind(namespace=self.namespace, **members), None)
        return await answer

    async def install(self, name: str, *, accepted: Any = (), **members: Any) -> plugin_pb2.Plugin:
        configuration = members.pop("configuration", {})
        text = msgspec.json.encode(configuration).decode()
        answer = await self.call(
            "InstallPlugin", name=name, configuration=text, accepted=accepted, **members
        )
        return cast("plugin_pb2.Plugin", answer.plugin)

    async def greeter(self, version: str = "1.0.0") -> plugin_pb2.Plugin:
        return await self.install(
            "greeter", version=version, configuration=HOST, accepted=[CONNECT]
        )

    async def names(self) -> list[str]:
        return [each.name for each in (await self.call("ListPlugins")).plugins]


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    """A catalogue with plugins of all kinds."""
    made = Market(tmp_path_factory.mktemp("market"))
    for name in ("iban-check", "table-format", "receipt-panel", "sales-tax"):
        made.publish(Path("plugins") / name)
    for version in ("1.0.0", "1.1.0"):
        made.greeter(version)
    made.publish(made.project("badge", LOGIN, "def login(given):\n    return {}\n", "badge"))
    made.publish(made.project("broken", BROKEN, "def test(*_):\n    1 / 0\n", "broken"))
    return made


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(children_max=1) as running:
        yield running


@pytest.fixture
async def shop(migrated: str, market: Market, sandbox: Sandbox) -> AsyncIterator[Shop]:
    stub, numbers = Stub(), count()
    known = cast("Any", stub)
    keys = signing.public_keys([market.environment["FLOWMESH_PLUGIN_KEYS"]])
    async with (
        open_database(migrated, schema=SCHEMA, migrations=MIGRATIONS) as pool,
        Egress(Policy.named("public", ())) as egress,
    ):
        store, pins = FleetStore(pool, call=lambda: ""), PinStore(pool, call=lambda: "")
        fleet = Fleet(
            store=store,
            isolation=Standing(least=agent_pb2.ISOLATION_NONE, egress="open", allowed=()),
            announce=lambda: None,
            new_id=lambda: f"agent-{next(numbers)}",
        )
        plugins = Plugins(
            fleet=fleet,
            store=store,
            pins=pins,
            catalogue=Catalogue(str(market.folder), keys, egress),
            usage=Usage(known, known, known),
            reader=Reader(sandbox),
        )
        yield Shop(PluginServer(plugins), pins, store, stub)


def unused(stub: Stub) -> None:
    """Let nothing use a plugin."""
    stub.answers |= {
        "ListTasks": definitions.ListTasksResponse(),
        "ListWorkflows": definitions.ListWorkflowsResponse(),
        "ListNamespaces": definitions.ListNamespacesResponse(namespaces=["labs"]),
        "ListAppsOfPlugin": app_service_pb2.ListAppsOfPluginResponse(),
        "ListProvidersOfPlugin": providers.ListProvidersOfPluginResponse(),
    }


async def test_a_plugin_is_installed_within_accepted_permissions(shop: Shop) -> None:
    """Its agents have them as bounds, and the search shows its version."""
    with pytest.raises(WrongState, match="not accepted: connect mail") as refused:
        await shop.install("greeter", configuration=HOST)
    assert [each.description for each in refused.value.violations] == [CONNECT]
    found = await shop.greeter()
    assert (found.name, found.version, found.kind) == ("greeter", "1.0.0", "task")
    assert found.state == plugin_pb2.PLUGIN_STATE_STARTING
    assert (list(found.task_types), list(found.permissions)) == (["greeter.greet"], [CONNECT])
    row = await shop.store.spec(("labs", "plugin-greeter"))
    assert row is not None
    assert list(row.content.connections.endpoints) == ["mail.example:7"]
    assert row.content.isolation == agent_pb2.ISOLATION_SANDBOX
    with pytest.raises(Conflict, match="upgrade or configure it instead"):
        await shop.greeter()
    listed = (await shop.call("SearchPlugins", query="GREET somebody")).plugins
    assert [(each.version, each.installed_version) for each in listed] == [
        ("1.1.0", "1.0.0"),
        ("1.0.0", "1.0.0"),
    ]
    assert all(each.supported for each in listed)
    assert await shop.names() == ["greeter"]


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("nothing", NotFound, "the catalogue has no plugin 'nothing'"),
        ("broken", Invalid, "broken 1.0.0 failed its self-test"),
        ("badge", WrongState, "install it for all projects"),
    ],
)
async def test_a_plugin_that_cannot_work_is_not_installed(
    shop: Shop, name: str, error: type[Exception], said: str
) -> None:
    """Nothing of it is left."""
    with pytest.raises(error, match=said):
        await shop.install(name)
    assert await shop.names() == []


async def test_a_pinned_plugin_is_not_upgraded(shop: Shop) -> None:
    """Without the pin it keeps its configuration and its permissions."""
    await shop.greeter()
    assert (await shop.call("PinPlugin", name="greeter", pinned=True)).plugin.pinned
    with pytest.raises(WrongState, match=r"greeter is pinned to 1\.0\.0"):
        await shop.call("UpgradePlugin", name="greeter")
    assert not (await shop.call("PinPlugin", name="greeter", pinned=False)).plugin.pinned
    found = (await shop.call("UpgradePlugin", name="greeter")).plugin
    assert (found.version, list(found.permissions)) == ("1.1.0", [CONNECT])
    assert msgspec.json.decode(found.configuration)["host"] == "mail.example"


async def test_another_configuration_needs_its_permissions(shop: Shop) -> None:
    """Those that it has are not asked for again."""
    await shop.greeter()
    more = {"name": "greeter", "configuration": '{"host": "other.example"}'}
    with pytest.raises(WrongState, match="not accepted: connect other"):
        await shop.call("ConfigurePlugin", **more)
    answer = await shop.call("ConfigurePlugin", **more, accepted=["connect other.example:7"])
    assert list(answer.plugin.permissions) == ["connect other.example:7"]
    same = {"host": "other.example", "greeting": "Hi"}
    text = msgspec.json.encode(same).decode()
    answer = await shop.call("ConfigurePlugin", name="greeter", configuration=text)
    assert msgspec.json.decode(answer.plugin.configuration) == same


async def test_a_plugin_that_computes_has_a_function(shop: Shop) -> None:
    """Its modules are sent once for each digest."""
    await shop.install("iban-check")
    found = await shop.call("GetPluginFunction", name="iban-check", kind="transform")
    assert found.handler == "iban_check.functions:check"
    assert "iban_check/functions.py" in found.modules
    again = await shop.call(
        "GetPluginFunction", name="iban-check", kind="transform", digest=found.digest
    )
    assert not again.modules
    with pytest.raises(NotFound, match="iban-check is installed, and is no panel"):
        await shop.call("GetPluginPage", name="iban-check")
    with pytest.raises(NotFound, match="has no plugin 'other'"):
        await shop.call("GetPlugin", name="other")
    assert (await shop.call("GetPlugin", name="iban-check")).plugin.state == (
        plugin_pb2.PLUGIN_STATE_READY
    )


async def test_a_format_reads_a_text_and_a_panel_has_a_page(shop: Shop) -> None:
    """Documents read by a plugin have its label; a text in another format is refused."""
    await shop.install("table-format")
    table = "workflow;step;task;after;note\ndelivery;pack;noop;;\n"
    read = await shop.call("ReadText", name="table-format", text=table)
    (document,) = msgspec.json.decode(read.documents)
    assert document["metadata"]["labels"] == {"flowmesh.io/format": "table-format"}
    with pytest.raises(Invalid, match="the text was not read"):
        await shop.call("ReadText", name="table-format", text="no;table")
    with pytest.raises(Invalid, match="more than"):
        await shop.call("ReadText", name="table-format", text="x" * (17 << 20))
    found = await shop.install("receipt-panel", accepted=["read execution"])
    assert (found.panel.title, list(found.panel.reads)) == ("Receipt", ["execution"])
    assert "<html" in (await shop.call("GetPluginPage", name="receipt-panel")).html


async def test_a_module_type_does_not_change_under_its_applications(shop: Shop) -> None:
    """An upgrade that does not fit one is refused with its name."""
    await shop.install("sales-tax")
    found = await shop.call("GetPluginFunction", name="sales-tax", kind="module-type")
    assert msgspec.json.decode(found.module_type.config_schema)["type"] == "object"
    misfit = app_service_pb2.PluginMisfit(app="shop", problem="rate is missing")
    shop.suite.answers["CheckPluginUpgrade"] = app_service_pb2.CheckPluginUpgradeResponse(
        misfits=[misfit]
    )
    with pytest.raises(WrongState, match=r"does not fit application shop \(rate is missing\)"):
        await shop.call("UpgradePlugin", name="sales-tax")
    shop.suite.answers["CheckPluginUpgrade"] = app_service_pb2.CheckPluginUpgradeResponse()
    assert (await shop.call("UpgradePlugin", name="sales-tax")).plugin.name == "sales-tax"
    app = app_service_pb2.PluginApp(app="shop", namespace="labs")
    shop.suite.answers["ListAppsOfPlugin"] = app_service_pb2.ListAppsOfPluginResponse(apps=[app])
    with pytest.raises(WrongState, match="used by 1 application: application shop"):
        await shop.call("RemovePlugin", name="sales-tax")


def task(name: str, definition: Any, **labels: str) -> definition_pb2.Task:
    content = msgspec.json.encode(definition)
    return definition_pb2.Task(name=name, definition=content, labels=labels)


async def test_a_plugin_in_use_is_not_removed(shop: Shop) -> None:
    """The refusal names tasks and workflows on all pages; new uses are admitted again."""
    await shop.greeter()
    unused(shop.suite)
    pages: list[Any] = [
        definitions.ListTasksResponse(
            tasks=[task("greet", {"spec": {"type": "greeter.greet"}})], next_page_token="2"
        ),
        definitions.ListTasksResponse(tasks=[task("other", {"spec": ["noop"]})]),
    ]
    workflow = definition_pb2.Workflow(
        name="hello", definition=b'{"tasks": [{"call": "greeter.greet"}]}'
    )
    shop.suite.answers |= {
        "ListTasks": pages,
        "ListWorkflows": [
            definitions.ListWorkflowsResponse(next_page_token="2"),
            definitions.ListWorkflowsResponse(workflows=[workflow]),
        ],
        "ListTaskUsages": definitions.ListTaskUsagesResponse(
            workflows=[definitions.WorkflowReference(name="hello")]
        ),
    }
    with pytest.raises(WrongState, match="used by 2 definitions: task greet, workflow hello"):
        await shop.call("RemovePlugin", name="greeter")
    assert not await shop.pins.is_being_removed("labs", "greeter")
    assert await shop.pins.begin_removal("labs", "greeter", "1.0.0")
    with pytest.raises(WrongState, match="being removed by another call"):
        await shop.call("RemovePlugin", name="greeter")
    await shop.pins.end_removal("labs", "greeter")
    unused(shop.suite)
    await shop.call("RemovePlugin", name="greeter")
    row = await shop.store.spec(("labs", "plugin-greeter"))
    assert row is None or row.deleted


async def test_a_plugin_that_is_being_removed_has_no_new_uses(shop: Shop) -> None:
    """Those that there are may still run."""
    await shop.install("iban-check")
    assert await shop.pins.begin_removal("labs", "iban-check", "1.0.0")
    known = {"name": "iban-check", "kind": "transform"}
    with pytest.raises(NotFound, match="is being removed"):
        await shop.call("GetPluginFunction", **known, new_use=True)
    assert (await shop.call("GetPluginFunction", **known)).modules


async def test_a_plugin_of_all_projects_is_changed_for_all(shop: Shop) -> None:
    """Each project has it, and names its users with their projects."""
    with pytest.raises(WrongState, match="are those of one project"):
        await shop.install("greeter", configuration=HOST, accepted=[CONNECT], all_projects=True)
    assert (await shop.install("table-format", all_projects=True)).all_projects
    await shop.install("badge", all_projects=True)
    assert await shop.names() == ["badge", "table-format"]
    with pytest.raises(WrongState, match="installed for all projects"):
        await shop.call("RemovePlugin", name="table-format")
    unused(shop.suite)
    labelled = definition_pb2.Workflow(name="day", labels={"flowmesh.io/format": "table-format"})
    shop.suite.answers["ListWorkflows"] = definitions.ListWorkflowsResponse(workflows=[labelled])
    with pytest.raises(WrongState, match="used by 1 definition: workflow day of labs"):
        await shop.call("RemovePlugin", name="table-format", all_projects=True)
    shop.suite.answers["ListProvidersOfPlugin"] = providers.ListProvidersOfPluginResponse(
        provider_ids=["door"]
    )
    with pytest.raises(WrongState, match="used by 1 provider: identity provider door"):
        await shop.call("RemovePlugin", name="badge", all_projects=True)
    unused(shop.suite)
    await shop.call("RemovePlugin", name="badge", all_projects=True)


async def test_a_change_for_all_projects_needs_a_role_everywhere(shop: Shop) -> None:
    """That of one project is not enough."""
    caller = Principal("u1", "user", "Ada", namespaces={"labs": OPERATE})
    with acting_as(caller), pytest.raises(Forbidden, match="in the whole installation"):
        await shop.install("table-format", all_projects=True)
    with acting_as(Principal("u2", "user", "Ben", everywhere=OPERATE)):
        assert (await shop.install("table-format", all_projects=True)).all_projects
