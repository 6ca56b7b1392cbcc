"""Commands that need no suite: keys, certificates, plugins, applications, sizes, outboxes."""

import json
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flowmesh.cli import output
from flowmesh.cli.command_line import run
from flowmesh.cli.definitions import file_watch
from flowmesh.cli.definitions.tools import document_of
from flowmesh.cli.refusals import Refused
from tests.unit.cli.conftest import Outcome

Local = Callable[..., Outcome]


@pytest.fixture
def local(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Local:
    """`local("app", "modules")` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("FLOWMESH_KEY_FILE", "FLOWMESH_DATABASES", "SHELL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / ".data"))
    monkeypatch.setenv("HOME", str(tmp_path))

    def called(*words: str) -> Outcome:
        code = run(list(words))
        shown = capsys.readouterr()
        return Outcome(code, shown.out, shown.err)

    return called


def test_a_key_file_gives_tokens_of_the_first_owner(local: Local) -> None:
    """It is created once; a token is valid for an hour."""
    first = local("identity", "init", "--key-file", "own.key")
    assert first.code == 0
    assert re.findall(r"^(key file|valid for) +(.+)$", first.out, re.MULTILINE) == [
        ("key file", "own.key"),
        ("valid for", "60 minutes, once"),
    ]
    second = local("identity", "token", "--key-file", "own.key", "--json")
    assert re.fullmatch(r"[A-Za-z0-9_-]{40,}", second.json["token"])
    assert second.json["validSeconds"] == 3600
    again = local("identity", "init", "--key-file", "own.key")
    assert (again.code, "`flowmesh identity token` prints another" in again.err) == (2, True)
    missing = local("identity", "token", "--key-file", "gone.key")
    assert (missing.code, "gone.key" in missing.err) == (2, True)


def test_certificates_are_issued_renewed_and_shown(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate is valid, due after half of its life, and expired at its end."""
    made = local("cert", "init", "--cluster", "shop")
    assert made.out.split() == (
        [
            "authority",
            ".flowmesh/certs/ca.pem",
            "key",
            ".flowmesh/certs/ca-key.pem",
            "cluster",
            "shop",
        ]
    )
    server = ("cert", "issue", "server", "--name", "gateway", "--host", "localhost")
    issued = local(*server, "--json").json["certificates"][0]
    assert (issued["folder"], issued["state"]) == (".flowmesh/certs/gateway", "valid")
    assert "localhost" in issued["names"]
    assert local("cert", "renew").out == "No certificate is due.\n"
    renewed = local("cert", "renew", "--force", "--json").json["certificates"]
    assert [each["folder"] for each in renewed] == [issued["folder"]]
    expires = datetime.fromisoformat(renewed[0]["expires"])
    for at, state in (
        (expires - timedelta(hours=1), "due"),
        (expires + timedelta(hours=1), "expired"),
    ):
        monkeypatch.setattr(output, "now", lambda at=at: at)
        row = local("cert", "show").out.splitlines()[1]
        assert re.split(r"  +", row)[:3] == [
            issued["folder"],
            f"{expires.astimezone(UTC):%Y-%m-%d %H:%M}Z",
            state,
        ]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("cert init", 1, "has an authority; remove it only if nothing uses it"),
        ("cert issue server --name gateway", 2, "a server needs a host (name one with --host)"),
        ("cert issue client --name w --to a/b", 2, "'a/b' is not the name of a folder"),
        ("cert issue client --name w --dir gone", 1, "gone"),
        ("cert show --dir gone", 1, "gone"),
    ],
)
def test_a_refused_certificate_is_one_line(local: Local, words: str, code: int, says: str) -> None:
    """The line names the option or the folder."""
    local("cert", "init")
    refused = local(*words.split())
    assert refused.code == code
    assert says in refused.err
    assert refused.err.count("\n") == 1


def test_a_plugin_is_built_signed_verified_and_listed(local: Local) -> None:
    """From its project to the index of a catalogue."""
    made = local("plugin", "new", "chat-message", "--json").json
    assert (made["folder"], made["kind"]) == ("chat-message", "task")
    built = local("plugin", "build", "chat-message", "--json").json
    public = local("plugin", "key", "own.key", "--json").json["publicKey"]
    signed = local("plugin", "sign", built["file"], "--key", "own.key", "--json").json
    assert (signed["digest"], signed["publicKey"]) == (built["digest"], public)
    verified = local("plugin", "verify", built["file"], "--public-key", public)
    assert re.fullmatch(r"chat-message [0-9.]+ is signed; it asks for: .+\n", verified.out)
    found = local("plugin", "index", "dist", "--key", "own.key")
    assert re.fullmatch(r"dist/\S+ written: chat-message [0-9.]+\n", found.out)
    other = local("plugin", "key", "other.key", "--json").json["publicKey"]
    refused = local("plugin", "verify", built["file"], "--public-key", other)
    assert (refused.code, refused.err.count("\n")) == (1, 1)


def test_a_new_application_is_valid(local: Local) -> None:
    """Its file, its routes, and the types that it is made of."""
    assert local("app", "init", "api", "--name", "shop").out == (
        "shop.yaml written; run it: flowmesh app run shop.yaml\n"
    )
    assert local("app", "validate", "shop.yaml").code == 0
    described = local("app", "openapi", "shop.yaml").json
    assert described["info"]["title"] == "shop"
    assert described["paths"]
    assert "http.server" in local("app", "modules").out
    assert local("app", "modules", "http.server", "--json").json["type"] == "http.server"
    assert "modules" in local("app", "schema").json["properties"]
    assert local("app", "schema", "http.server").json["type"] == "object"


def test_bundled_tasks_are_listed_and_shown(local: Local) -> None:
    """With the tasks that a workflow uses."""
    rows = local("workflow", "library", "list").out.splitlines()
    assert rows[0].split() == ["KIND", "NAME", "USES", "DESCRIPTION"]
    assert "kind: WorkflowTask" in local("workflow", "library", "show", "send-email").out


def test_a_size_has_units(local: Local) -> None:
    """Cores, the log and the disk of a load."""
    shown = local("size", "--starts-per-second", "500", "--payload", "2KiB", "--retention", "12h")
    needs = dict(re.split(r"  +", row, maxsplit=1) for row in shown.out.splitlines()[1:-1])
    assert re.fullmatch(r"[0-9,.]+ [KMGT]iB/s", needs["log of PostgreSQL"])
    assert re.fullmatch(r"[0-9,.]+ [GT]iB", needs["rows after the retention"])
    found = local("size", "--starts-per-second", "1", "--json").json
    assert found["load"]["retention_s"] == 30 * 86_400


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("size --starts-per-second 0", "--starts-per-second is 0 (write a number above 0"),
        ("size --starts-per-second 1 --sleeping -1", "--sleeping is -1"),
        ("size --starts-per-second 1 --payload big", "--payload is 'big' (write 100B"),
        ("trigger outbox show --database shop", "no file of databases"),
        ("trigger outbox show --database shop --databases odd.toml", "odd.toml"),
        ("trigger outbox show --database shop --databases own.toml", "has no database 'shop'"),
        ("trigger outbox install --database far --databases own.toml", "far cannot be reached"),
        ("task import http://127.0.0.1:9/mcp", "http://127.0.0.1:9/mcp: "),
        ("completion", "no completion for the shell $SHELL=''"),
    ],
)
def test_what_is_wrong_is_one_line(local: Local, tmp_path: Path, words: str, says: str) -> None:
    """It says what would be right."""
    (tmp_path / "odd.toml").write_text("= odd")
    (tmp_path / "own.toml").write_text('[far]\nurl = "postgresql://a@127.0.0.1:9/a"\n')
    refused = local(*words.split())
    assert refused.code != 0
    assert refused.err.startswith("flowmesh: ")
    assert says in refused.err
    assert refused.err.count("\n") == 1


def test_a_completion_script_is_installed(local: Local, tmp_path: Path) -> None:
    """In the folder that the shell reads."""
    printed = local("completion", "bash").out
    installed = local("completion", "bash", "--install", "--json").json
    assert installed["shell"] == "bash"
    assert Path(installed["path"]).is_relative_to(tmp_path)
    assert Path(installed["path"]).read_text().rstrip() == printed.rstrip()


def test_the_help_of_a_command_has_two_columns(local: Local) -> None:
    """Long names have a line of their own, and meanings are wrapped at 80 columns."""
    lines = local("queue", "declare", "--help").out.splitlines()
    assert "Arguments" in lines
    assert "Options" in lines
    assert max(map(len, lines)) <= 80
    [overflow] = [each for each in lines if each.startswith("  --overflow")]
    assert "Treatment of a message" in overflow


def test_a_task_of_a_tool_has_its_schemas() -> None:
    """With a name that a task may have, and the first line of the description."""
    tool = {
        "name": "assess risk",
        "description": "Assess a risk.\nMore.",
        "inputSchema": {"type": "object"},
        "outputSchema": {"type": "number"},
    }
    task = json.loads(json.dumps(document_of(tool, {"capability": "risk"})))
    assert task["metadata"] == {"name": "assess-risk"}
    assert task["spec"]["description"] == "Assess a risk."
    assert task["spec"]["outputSchema"] == {"type": "number"}
    assert task["spec"]["mcp"]["capability"] == "risk"


def test_a_changed_file_is_checked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file of a watched folder, once its writer has paused."""
    monkeypatch.setattr(file_watch, "SETTLED_MS", 1)
    file, seen, stopping = tmp_path / "order.yaml", [], threading.Event()
    file.write_text("first")

    def edit() -> None:
        while not stopping.wait(0.02):
            file.write_text("second")

    def action() -> int:
        seen.append(file.read_text())
        if len(seen) == 2:
            raise KeyboardInterrupt
        editor.start()
        return 0

    editor = threading.Thread(target=edit)
    try:
        with pytest.raises(KeyboardInterrupt):
            file_watch.repeat_on_change([tmp_path], action)
    finally:
        stopping.set()
        editor.join()
    assert (seen, capsys.readouterr().out) == (["first", "second"], "\n")
    with pytest.raises(Refused, match=r"there is no file gone\.yaml to watch"):
        file_watch.repeat_on_change([Path("gone.yaml")], action)
