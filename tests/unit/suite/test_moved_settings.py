"""Parts of a project that a move sets in another cell: settings, agents, plugins, apps, secrets."""

from typing import Any

import pytest

from flowmesh.cells import Move
from flowmesh.errors import Invalid, WrongState
from flowmesh.suite.cells import apps
from flowmesh.suite.cells.agents import Agents
from flowmesh.suite.cells.apps import Apps, running_apps
from flowmesh.suite.cells.parts import CannotMove
from flowmesh.suite.cells.plugins import Plugins
from flowmesh.suite.cells.secrets import Secrets
from flowmesh.suite.cells.settings import Settings
from flowmesh.suite.cells.survey import left_behind, refused_data
from tests.unit.suite.scripted_cells import Answers, Cells

MOVE = Move(source=0, target=1, stopped=("web",))
Calls = list[tuple[str, dict[str, Any]]]


def limits(*found: dict[str, Any]) -> Answers:
    return {"ListLimits": {"limits": [{"namespace": "shop", **each} for each in found]}}


def stops(*found: dict[str, Any]) -> Answers:
    return {"ListLimits": {"stops": [{"namespace": "shop", **each} for each in found]}}


def slos(*found: dict[str, Any]) -> Answers:
    return {"ListSlos": {"slos": list(found)}}


A = {"kind": "LIMIT_KIND_WORKFLOW", "subject": "a", "concurrency": 5}
B = {"kind": "LIMIT_KIND_WORKFLOW", "subject": "b", "concurrency": 2}
OWN = {"namespace": "shop"}
SLO = {"workflow_id": "a", "target": 0.5, "window_s": "60"}


@pytest.mark.parametrize(
    ("source", "target", "changes"),
    [
        ({}, {}, []),
        (
            {"GetRetention": {"retention_ms": 5, "own": True}},
            {"GetRetention": {"retention_ms": 5}},
            [("SetRetention", {"retention_ms": "5"})],
        ),
        (
            {"GetRetention": {"retention_ms": 5}},
            {"GetRetention": {"retention_ms": 5, "own": True}},
            [("SetRetention", {})],
        ),
        (limits(A), limits(A), []),
        (limits(A), limits({**A, "concurrency": 6}), [("SetLimit", {"limit": OWN | A})]),
        (limits(B), limits(), [("SetLimit", {"limit": OWN | B})]),
        (limits({**A, "namespace": "other"}), limits(), []),
        (limits(), limits(A), [("DeleteLimit", {"kind": A["kind"], "subject": "a"})]),
        (
            stops({"workflow_id": "a", "refuse_starts": True}),
            stops({"workflow_id": "b"}),
            [
                ("StartDispatch", {"workflow_id": "b"}),
                ("StopDispatch", {"workflow_id": "a", "refuse_starts": True}),
            ],
        ),
        (slos(SLO), slos(SLO | {"good": "9"}), []),
        (slos(SLO), slos(SLO | {"target": 0.9}), [("SetSlo", SLO)]),
        (slos(), slos(SLO), [("DeleteSlo", {"workflow_id": "a"})]),
    ],
)
async def test_settings_become_those_of_the_source(
    source: Answers, target: Answers, changes: Calls
) -> None:
    """Retention, limits, stops and objectives; what is equal is not set again."""
    cells = Cells(source, target)
    await cells.part(Settings).switch(MOVE)
    assert cells.target.changes == changes
    assert cells.source.changes == []


def specs(*names: str, owner: str = "") -> Answers:
    return {"ListAgentSpecs": {"specs": [{"spec": {"spec": n}, "owner": owner} for n in names]}}


@pytest.mark.parametrize(
    ("source", "target", "problems"),
    [
        (specs("pool"), {}, []),
        (specs("pool", owner="plugins"), {}, []),
        (specs("pool", owner="operator"), {}, ["pool, which operator manages"]),
        (specs("pool"), {"ApplyAgentSpec": Invalid("SPEC_INVALID", "no such image")}, ["no such"]),
        (specs("pool"), {"ApplyAgentSpec": WrongState("NO_DRIVER", "no driver")}, ["no driver"]),
        (
            {"ListScalingPolicies": {"owners": {"fast": "operator"}}},
            {},
            ["the scaling policy fast, which operator manages"],
        ),
    ],
)
async def test_agents_of_others_do_not_move(
    source: Answers, target: Answers, problems: list[str]
) -> None:
    """What another system manages, and what the target refuses in a dry run."""
    cells = Cells(source, target)
    found = await cells.part(Agents).problems(MOVE)
    assert len(found) == len(problems)
    assert all(part in each for part, each in zip(problems, found, strict=True))
    assert all(request.get("dry_run") for name, request in cells.target.changes)


async def test_agents_are_those_of_the_source() -> None:
    """Others at the target are deleted; the source loses its own at the end."""
    policy = {"policy": "fast", "spec": "pool"}
    cells = Cells(
        {**specs("pool"), "ListScalingPolicies": {"policies": [policy]}},
        {**specs("old"), "ListScalingPolicies": {"policies": [{"policy": "slow"}, policy]}},
    )
    part = cells.part(Agents)
    await part.start(MOVE)
    assert cells.target.changes == [
        ("DeleteScalingPolicy", {"policy": "slow"}),
        ("DeleteAgentSpec", {"spec": "old", "stop_agents": True}),
        ("ApplyAgentSpec", {"spec": {"spec": "pool"}}),
        ("ApplyScalingPolicy", {"policy": policy}),
    ]
    await part.end()
    assert cells.source.changes == [
        ("DeleteScalingPolicy", {"policy": "fast"}),
        ("DeleteAgentSpec", {"spec": "pool", "stop_agents": True}),
    ]


def plugins(*found: dict[str, Any], **more: Any) -> Answers:
    return {"ListPlugins": {"plugins": list(found)}, **more}


SLACK = {"name": "slack", "version": "1.1", "digest": "d1", "kind": "task"}
CODEC = {"name": "codec", "version": "1.0", "digest": "d2", "kind": "format"}
SEARCH = {"SearchPlugins": {"plugins": [{"name": "slack", "version": "1.1", "digest": "d1"}]}}


@pytest.mark.parametrize(
    ("source", "target", "has"),
    [
        (plugins(), {}, True),
        (plugins(SLACK), SEARCH, True),
        (plugins({**SLACK, "digest": "other"}), SEARCH, False),
        (plugins(SLACK), {"SearchPlugins": WrongState("NO_CATALOGUE", "none")}, False),
        (plugins({**SLACK, "all_projects": True}), SEARCH, False),
        (plugins(SLACK), plugins({**SLACK, "all_projects": True}), True),
    ],
)
async def test_plugins_need_the_same_file_in_the_catalogue(
    source: Answers, target: Answers, has: bool
) -> None:
    """Or a plugin of the target that is for all projects."""
    problem = "the plugin slack 1.1, which cell eu1 does not have"
    found = await Cells(source, target).part(Plugins).problems(MOVE)
    assert found == ([] if has else [problem])


@pytest.mark.parametrize(
    ("there", "changes"),
    [
        (
            plugins(),
            [
                ("InstallPlugin", {"name": "codec", "version": "1.0"}),
                ("PinPlugin", {"name": "codec"}),
            ],
        ),
        (
            plugins({**CODEC, "version": "0.9", "pinned": True, "configuration": "{}"}),
            [
                ("PinPlugin", {"name": "codec"}),
                ("UpgradePlugin", {"name": "codec", "version": "1.0"}),
                ("ConfigurePlugin", {"name": "codec"}),
                ("PinPlugin", {"name": "codec"}),
            ],
        ),
        (plugins({**CODEC, "all_projects": True}), []),
    ],
)
async def test_a_plugin_has_the_version_of_the_source(there: Answers, changes: Calls) -> None:
    """Those that run as agents, and those of all projects, are not installed by the copy."""
    shared = {**CODEC, "name": "shared", "all_projects": True}
    cells = Cells(plugins(CODEC, SLACK, shared), there)
    part = cells.part(Plugins)
    await part.copy()
    assert cells.target.changes == changes
    await part.switch(MOVE)
    assert cells.target.changes == changes * 2


def agents(**replicas: int) -> dict[str, Any]:
    rows = [
        {"spec": {"spec": name, "replicas": each}, "owner": "plugins"}
        for name, each in replicas.items()
    ]
    return {"ListAgentSpecs": {"specs": [*rows, {"spec": {"spec": "own", "replicas": 9}}]}}


async def test_agents_of_plugins_are_as_many_as_before() -> None:
    """And none at the source, once the move has ended."""
    cells = Cells(plugins(SLACK, **agents(slack=3, mail=1, off=0)), agents(slack=1, mail=1))
    part = cells.part(Plugins)
    await part.start(MOVE)
    assert cells.target.changes == [
        ("InstallPlugin", {"name": "slack", "version": "1.1"}),
        ("PinPlugin", {"name": "slack"}),
        ("ScaleAgents", {"spec": "slack", "replicas": 3}),
    ]
    await part.end()
    assert cells.source.changes == [
        ("ScaleAgents", {"spec": "slack"}),
        ("ScaleAgents", {"spec": "mail"}),
    ]


WEB = {"app": "web", "newest_release": 2, "state": "APP_STATE_RUNNING"}


async def test_applications_are_copied_and_started() -> None:
    """Others at the target are deleted; the source stops and starts those of the move."""
    rows = [WEB, {"app": "draft", "state": "APP_STATE_STOPPED"}]
    cells = Cells(
        {"ListApps": {"apps": rows}, "ExportApp": {"sealed": "AAAA"}},
        {
            "ListApps": {"apps": [{"app": "old"}, WEB]},
            "ImportApp": [{"created": True}, {}],
            "GetApp": {"app": WEB},
        },
    )
    part = cells.part(Apps)
    await part.copy()
    await part.switch(MOVE)
    await part.start(MOVE)
    copied = [
        ("DeleteApp", {"app": "old"}),
        ("ImportApp", {"app": "web", "app_import": {}, "sealed": "AAAA"}),
    ]
    assert cells.target.changes == [*copied, *copied, ("StartApp", {"app": "web"})]
    assert cells.reports == ["copied application web", "application web runs in cell eu1"]
    await part.cancel(MOVE)
    assert cells.source.changes == [("StopApp", {"app": "web"}), ("StartApp", {"app": "web"})]
    assert await running_apps(cells.source) == ("web",)


async def test_a_project_without_applications_needs_no_key() -> None:
    """Nothing is prepared at the target."""
    cells = Cells({}, {})
    await cells.part(Apps).copy()
    assert [name for name, _ in cells.target.calls] == ["ListApps"]


@pytest.mark.parametrize(
    ("answers", "report"),
    [
        ([{"app": {}}, {"app": {"problem": "no port"}}], "application web does not run: no port"),
        ([{"app": {}}], "application web does not run: it was not ready within 0 s"),
    ],
)
async def test_an_application_that_does_not_start_is_reported(
    monkeypatch: pytest.MonkeyPatch, answers: list[Any], report: str
) -> None:
    """With its problem, or after the time for it."""
    monkeypatch.setattr(apps, "POLL_S", 0.001)
    monkeypatch.setattr(apps, "STARTED_WITHIN_S", 0.02 if len(answers) == 1 else 5.0)
    cells = Cells({}, {"GetApp": answers})
    await cells.part(Apps).start(MOVE)
    assert cells.reports == [report]


async def test_sealed_data_that_cannot_be_opened_does_not_move() -> None:
    """An application and a secret of a key that is gone."""
    gone = WrongState("KEY_LOST", "its key is gone")
    cells = Cells({"ListApps": {"apps": [WEB]}, "ExportApp": gone, "ExportSecrets": gone}, {})
    with pytest.raises(CannotMove, match="an application that does not move: its key is gone"):
        await cells.part(Apps).copy()
    with pytest.raises(CannotMove, match="a secret that cannot be read: its key is gone"):
        await cells.part(Secrets).copy()


async def test_secrets_are_taken_page_by_page() -> None:
    """For the key of one import."""
    pages = [{"sealed": "AAAA", "next_page_token": "2"}, {"sealed": "BBBB"}]
    cells = Cells({"ExportSecrets": pages}, {"PrepareSecretImport": {"import_id": "i"}})
    await cells.part(Secrets).switch(MOVE)
    assert cells.target.changes == [
        ("ImportSecrets", {"import_id": "i", "sealed": "AAAA"}),
        ("ImportSecrets", {"import_id": "i", "sealed": "BBBB"}),
    ]


async def test_data_that_cannot_be_moved_is_counted() -> None:
    """Subscriptions, triggers of changes, and keys of the project's own."""
    assert await refused_data(Cells({}, {}).source) == []
    source = {
        "ListSubscriptions": {"subscriptions": [{}, {}]},
        "ListTriggers": {"triggers": [{"trigger": {"change": {}}}, {"trigger": {}}]},
        "GetEncryption": {"encryption": {"state": "ENCRYPTION_STATE_REQUIRED"}},
    }
    assert await refused_data(Cells(source, {}).source) == [
        *("2 subscriptions", "1 triggers of changes", "encryption with keys of its own")
    ]


async def test_members_and_keys_stay_behind() -> None:
    """Of the project, wherever it is in the tree of companies."""
    tree = {
        "ListCompanies": {"companies": [{"id": "c"}]},
        "ListOrganizations": {"organizations": [{"id": "o"}]},
        "ListProjects": {
            "projects": [{"id": "p1", "namespace": "shop"}, {"id": "p2", "namespace": "other"}]
        },
        "ListApiKeys": [{"keys": [{}], "next_page_token": "2"}, {"keys": [{}]}],
    }
    assert await left_behind(Cells(tree, {}).source) == ["members and quota, and 2 API keys"]
