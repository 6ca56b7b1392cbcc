"""Hosted applications read their own files and write their own data."""

import socket
from functools import partial
from pathlib import Path

import pytest
import yaml

from flowmesh.apps.document.loading import Loading, load
from flowmesh.apps.document.model import AppDocument
from flowmesh.apps.modules.http_client import HOSTED_CONNECTIONS_MAX
from flowmesh.apps.observing.logs import LogHub
from flowmesh.apps.release_process.confinement import confined, leaves_bounds
from flowmesh.apps.runtime.building import build
from flowmesh.contract.json_value import Json
from flowmesh.egress.policy import PUBLIC


def document(folder: Path, text: str) -> AppDocument:
    file = folder / "release" / "app.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    confine = partial(confined, data=folder / "data")
    return load(file, Loading(environment={}, required=True, confine=confine))


def codes(found: AppDocument) -> set[str]:
    return {each.code for each in found.findings.found if not each.warning}


def test_databases_are_in_the_data_folder(tmp_path: Path) -> None:
    """They outlive a release; a database in memory stays one."""
    found = document(
        tmp_path,
        """\
modules:
- {name: a, type: database.workflow, config: {driver: sqlite, dsn: "shop.db"}}
- {name: b, type: storage.sqlite, config: {dbPath: data/x.db}}
- {name: c, type: database.workflow, config: {driver: sqlite, dsn: ":memory:"}}
- {name: d, type: database.modular, config: {connections: {main: {driver: sqlite, dsn: m.db}}}}
""",
    )
    assert codes(found) == set()
    a, b, c, d = (each.config for each in found.modules)
    assert a["dsn"] == str(tmp_path / "data" / "shop.db")
    assert b["dbPath"] == str(tmp_path / "data" / "data" / "x.db")
    assert c["dsn"] == ":memory:"
    assert d["connections"]["main"]["dsn"] == str(tmp_path / "data" / "m.db")


@pytest.mark.parametrize(
    "module",
    [
        "type: database.workflow, config: {driver: sqlite, dsn: /etc/x.db}",
        "type: database.workflow, config: {driver: sqlite, dsn: ../other/data/x.db}",
        "type: database.workflow, config: {driver: sqlite, dsn: 'file:/tmp/x.db?mode=ro'}",
        "type: storage.sqlite, config: {dbPath: /tmp/x.db}",
        "type: static.fileserver, config: {root: /}",
        "type: static.fileserver, config: {root: ..}",
        "type: auth.jwt, config: {secret: 0123456789abcdef, seedFile: /etc/passwd}",
        "type: database.workflow, config: {driver: sqlite, dsn: a, migrations: [/etc/x.sql]}",
        "type: http.server, config: {address: ':0', tls: {cert: /etc/c.pem, key: k.pem}}",
    ],
)
def test_paths_outside_are_refused(tmp_path: Path, module: str) -> None:
    """With a finding at the key; nothing is opened."""
    found = document(tmp_path, f"modules:\n- {{name: a, {module}}}\n")
    assert codes(found) == {"APP_PATH_FOREIGN"}


def test_included_files_are_of_the_release(tmp_path: Path) -> None:
    """Neither `${file:}` nor an import reads another file."""
    (tmp_path / "secret").write_text("s")
    (tmp_path / "other.yaml").write_text("modules: []")
    found = document(
        tmp_path,
        "imports: [../other.yaml]\n"
        'modules:\n- {name: a, type: http.handler, config: {body: "${file:../secret}"}}\n',
    )
    assert codes(found) == {"APP_PATH_FOREIGN"}
    assert found.modules[0].config["body"] == ""


FOREIGN_STEP = {"type": "http_call", "config": {"URL": "unix:///run/x.sock"}}


def each(steps: list[Json], kind: str = "step.foreach") -> Json:
    return {"type": kind, "config": {"items": [1], "steps": steps}}


def route(**pipeline: Json) -> Json:
    made = {"method": "GET", "path": "/a", "pipeline": pipeline}
    return {"workflows": {"http": {"routes": [made]}}}


PLACES: dict[str, Json] = {
    "pipeline": {"pipelines": {"p": {"steps": [FOREIGN_STEP]}}},
    "step of foreach": {"pipelines": {"p": [each([FOREIGN_STEP])]}},
    "step of foreach of foreach": {"pipelines": {"p": [each([each([FOREIGN_STEP], "foreach")])]}},
    "compensation": {"pipelines": {"p": {"steps": [], "compensation": [FOREIGN_STEP]}}},
    "foreach of a compensation": {
        "pipelines": {"p": {"steps": [], "compensation": [each([FOREIGN_STEP])]}}
    },
    "route": route(steps=[each([FOREIGN_STEP])]),
    "list of a route": {"workflows": {"http": {"routes": [
        {"method": "GET", "path": "/a", "pipeline": [each([FOREIGN_STEP])]}
    ]}}},
    "trigger": {"pipelines": {"p": {
        "trigger": {"type": "http", "config": {"path": "/a", "method": "GET"}},
        "steps": [each([FOREIGN_STEP])],
    }}},
    "module": {"modules": [
        {"name": "h", "type": "http.handler", "config": {"path": "/a", "method": "GET"}},
        {"name": "s", "dependsOn": ["h"], **FOREIGN_STEP, "type": "step.http_call"},
    ]},
    "connector": {"workflows": {"integration": {"connectors": [
        {"name": "c", "type": "http", "config": {"baseURL": "http+unix://%2Frun%2Fx"}}
    ]}}},
    "connector of a list": {"workflows": [{"name": "i", "type": "integration", "config": {
        "connectors": [{"name": "c", "type": "http", "config": {"baseURL": "/run/x.sock"}}]
    }}]},
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_addresses_are_checked_at_every_depth(tmp_path: Path, place: str) -> None:
    """Each has one finding, and the source of secrets of its document is not asked."""
    with socket.create_server(("127.0.0.1", 0)) as vault:
        config = {"address": f"http://127.0.0.1:{vault.getsockname()[1]}", "token": "t"}
        secrets = {"name": "v", "type": "secrets.vault", "config": config}
        given: Json = {"description": "${vault:x#k}", **PLACES[place]}
        given["modules"] = [secrets, *given.get("modules", ())]
        found = document(tmp_path, yaml.safe_dump(given))
        vault.setblocking(False)
        with pytest.raises(BlockingIOError):
            vault.accept()
    foreign = [each.message for each in found.findings.found if each.code == "APP_ADDRESS_FOREIGN"]
    assert len(foreign) == 1, found.findings.found
    assert leaves_bounds(found)


def test_a_path_continues_the_address_of_a_client(tmp_path: Path) -> None:
    """A step with `client` gives a path; the same path without a client is an address."""
    client = "modules:\n- {name: suite, type: httpclient.modular, config: {baseURL: BASE}}\n"
    step = """\
pipelines:
  ask:
    steps:
    - {name: call, type: step.http_call, config: {CLIENT url: "/api/v1/apps"}}
"""
    base = client.replace("BASE", "http://127.0.0.1:3000")
    named = step.replace("CLIENT", "client: suite,")
    assert codes(document(tmp_path, base + named)) == set()
    assert codes(document(tmp_path, base + step.replace("CLIENT", ""))) == {"APP_ADDRESS_FOREIGN"}
    socket = client.replace("BASE", "unix:///run/docker.sock")
    assert codes(document(tmp_path, socket + named)) == {"APP_ADDRESS_FOREIGN"}


@pytest.mark.parametrize(
    ("connections", "hosted"),
    [
        (0, {"APP_CONFIG_INVALID"}),
        (1, set()),
        (HOSTED_CONNECTIONS_MAX, set()),
        (HOSTED_CONNECTIONS_MAX + 1, {"APP_CONFIG_INVALID"}),
    ],
)
def test_clients_of_hosted_applications_have_bounded_connections(
    tmp_path: Path, connections: int, hosted: set[str]
) -> None:
    """Without a bound, one client takes all sockets; an application of one's own may have none."""
    text = f"""\
modules:
- name: client
  type: httpclient.modular
  config: {{max_idle_conns: {connections}, max_idle_conns_per_host: 0}}
"""
    found = document(tmp_path, text)
    local = load(tmp_path / "release" / "app.yaml", Loading(environment={}, required=True))
    for each in (found, local):
        build(each, log=LogHub(app="app", write=lambda _line: None), policy=PUBLIC)
    assert codes(found) == hosted
    assert codes(local) == set()
