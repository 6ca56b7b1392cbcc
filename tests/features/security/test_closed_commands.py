"""The command against a closed installation: sessions, keys, projects and members."""

import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from flowmesh.access.bootstrap import bootstrap_token
from flowmesh.access.keys import create_key_file, read_key_file
from flowmesh.testing.suite import Suite
from tests.features.closed import PASSWORD
from tests.features.commands import Outcome, command

pytestmark = pytest.mark.long

Run = Callable[..., Awaitable[Outcome]]
EMAIL = "ada@example.com"
FACT = {
    "apiVersion": "workflow.io/v1",
    "kind": "Workflow",
    "metadata": {"name": "fact"},
    "spec": {
        "tasks": [
            {
                "id": "sort",
                "taskRef": "transform",
                "input": {"source": [2, 1], "pipeline": [{"operation": "sort"}]},
            }
        ]
    },
}


@pytest.fixture(scope="module")
async def suite(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    folder: Path = tmp_path_factory.mktemp("closed-commands")
    key_file = folder / "key"
    create_key_file(key_file)
    closed = {"FLOWMESH_AUTH": "closed", "FLOWMESH_KEY_FILE": str(key_file)}
    async with Suite(folder / "data", environment=closed) as made:
        token = bootstrap_token(read_key_file(key_file).bootstrap, time.time_ns() // 1_000)
        outcome = await _run(
            made,
            folder / "config",
            "identity",
            "bootstrap",
            "--token",
            token,
            "--email",
            EMAIL,
            stdin=f"{PASSWORD}\n",
        )
        assert outcome.code == 0, outcome.err
        yield made


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Folder of the configuration of one user."""
    return tmp_path / "config"


@pytest.fixture
def flowmesh(suite: Suite, config: Path) -> Run:
    async def run(*tokens: str, stdin: str = "", **environment: str) -> Outcome:
        return await _run(suite, config, *tokens, stdin=stdin, **environment)

    return run


async def _run(
    suite: Suite, config: Path, *tokens: str, stdin: str = "", **environment: str
) -> Outcome:
    own = {
        "XDG_CONFIG_HOME": str(config),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }
    own["FLOWMESH_ADDRESS"] = suite.grpc_address
    return await command(
        suite, *tokens, stdin=stdin, addressed=False, environment={**own, **environment}
    )


async def _logged_in(flowmesh: Run) -> None:
    outcome = await flowmesh("login", "--email", EMAIL, stdin=f"{PASSWORD}\n")
    assert outcome.code == 0, outcome.err


def _sessions(config: Path) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads((config / "flowmesh" / "sessions.json").read_bytes())
    return found


@pytest.mark.feature("S1-112", "S3-129")
async def test_a_session_is_opened_used_and_ended(flowmesh: Run, config: Path) -> None:
    """Refused, login, whoami, a list, logout, refused; the file of sessions is the user's own."""
    refused = await flowmesh("list", "workflows", "--json")
    assert refused.code == 1
    assert refused.json["error"]["reason"] == "CREDENTIALS_REQUIRED"
    assert "FLOWMESH_API_KEY" in refused.err
    assert "flowmesh login" in refused.err

    await _logged_in(flowmesh)
    file = config / "flowmesh" / "sessions.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    me = (await flowmesh("whoami", "--json")).json
    assert me["user"]["email"] == EMAIL
    assert "own" in me["everywhere"]
    assert (await flowmesh("list", "workflows")).code == 0

    access = next(iter(_sessions(config).values()))["tokens"]["access"]
    assert (await flowmesh("logout")).code == 0
    assert _sessions(config) == {}
    ended = await flowmesh("list", "workflows", FLOWMESH_TOKEN=access)
    assert ended.code == 1
    assert "FLOWMESH_TOKEN" in ended.err
    assert access not in ended.err + ended.out


@pytest.mark.feature("S1-112")
async def test_an_expired_access_token_is_renewed(flowmesh: Run, config: Path) -> None:
    """By the stored refresh token, and the new pair is kept; also after a token was refused."""
    await _logged_in(flowmesh)
    file = config / "flowmesh" / "sessions.json"
    for change in ({"renewAt": 0.0}, {"access": "refused", "renewAt": time.time() + 500}):
        sessions = _sessions(config)
        tokens = next(iter(sessions.values()))["tokens"]
        before = dict(tokens)
        tokens.update(change)
        file.write_bytes(orjson.dumps(sessions))
        outcome = await flowmesh("list", "workflows")
        assert outcome.code == 0, outcome.err
        after = next(iter(_sessions(config).values()))["tokens"]
        assert after["refresh"] != before["refresh"]
        assert after["access"] != before["access"]


async def test_a_wrong_password_is_refused(flowmesh: Run, config: Path) -> None:
    """Nothing is kept, and the password is in no output; one as an argument is wrong usage."""
    outcome = await flowmesh("login", "--email", EMAIL, "--json", stdin="wrong-password-1\n")
    assert outcome.code == 1
    assert outcome.json["error"]["reason"] == "CREDENTIALS_INVALID"
    assert "wrong-password-1" not in outcome.out + outcome.err
    assert not (config / "flowmesh" / "sessions.json").exists()
    assert (await flowmesh("login", "--password", "x", stdin=f"{PASSWORD}\n")).code == 2


@pytest.mark.feature("S1-110", "S1-113")
async def test_projects_and_keys_are_managed(flowmesh: Run) -> None:
    """A project and a key are made; the key starts a workflow there, and is deleted."""
    await _logged_in(flowmesh)
    made = await flowmesh("projects", "create", "billing", "--json")
    assert made.code == 0, made.err
    project = made.json
    assert project["namespace"] == "billing"
    listed = (await flowmesh("project", "list", "--json")).json
    assert {"default", "billing"} <= {each["slug"] for each in listed}

    key = (
        await flowmesh("keys", "create", "ci", "--role", "editor", "-n", "billing", "--json")
    ).json
    environment = {"FLOWMESH_API_KEY": key["secret"], "FLOWMESH_NAMESPACE": "billing"}
    applied = await flowmesh("apply", "-f", "-", stdin=orjson.dumps(FACT).decode(), **environment)
    assert applied.code == 0, applied.err
    ran = await flowmesh("start", "fact", "--wait", "--json", **environment)
    assert ran.code == 0, ran.err
    foreign = await flowmesh("list", "workflows", "-n", "default", "--json", **environment)
    assert foreign.json["error"]["reason"] == "NAMESPACE_NOT_FOUND"

    rotated = (await flowmesh("keys", "rotate", key["id"], "--json")).json
    assert rotated["secret"] != key["secret"]
    keys = await flowmesh("keys", "list", "--project", "billing", "--json")
    assert [each["id"] for each in keys.json] == [key["id"]]
    assert key["secret"] not in keys.out
    assert (await flowmesh("keys", "delete", key["id"])).code == 0
    assert (await flowmesh("list", "workflows", **environment)).code == 1
    assert (await flowmesh("projects", "delete", "billing")).code == 0
    assert (await flowmesh("projects", "delete", "billing")).code == 1


@pytest.mark.feature("S1-111")
async def test_a_person_is_invited(flowmesh: Run, suite: Suite, tmp_path: Path) -> None:
    """The invitation gives a role, which is then raised; the caller lists users and members."""
    await _logged_in(flowmesh)
    invited = await flowmesh("identity", "invite", "bo@example.com", "viewer", "--json")
    assert invited.code == 0, invited.err
    joined = await _run(
        suite,
        tmp_path / "other",
        "identity",
        "register",
        "--email",
        "bo@example.com",
        "--invitation",
        invited.json["token"],
        stdin="a sentence of the second user\n",
    )
    assert joined.code == 0, joined.err
    raised = await flowmesh("identity", "set-role", "bo@example.com", "editor", "--json")
    assert raised.code == 0, raised.err
    members = (await flowmesh("identity", "members", "--json")).json
    assert {each["user"]["email"]: each["role"] for each in members}["bo@example.com"] == "editor"
    assert "bo@example.com" in (await flowmesh("identity", "users")).out


async def test_a_session_is_for_its_profile_and_address(flowmesh: Run, suite: Suite) -> None:
    """Another profile with the same address has none, and deleting the profile forgets it."""
    for name in ("one", "two"):
        await flowmesh("profile", "set", name)
    await flowmesh("login", "--email", EMAIL, "--profile", "one", stdin=f"{PASSWORD}\n")
    assert (await flowmesh("whoami", "--profile", "one")).code == 0
    assert (await flowmesh("whoami", "--profile", "two")).code == 1
    assert (await flowmesh("profile", "delete", "one")).code == 0
    await flowmesh("profile", "set", "one")
    assert (await flowmesh("whoami", "--profile", "one")).code == 1


async def test_a_file_that_others_read_is_refused(flowmesh: Run, config: Path) -> None:
    """Sessions are not used from a file with the wrong mode."""
    await _logged_in(flowmesh)
    file = config / "flowmesh" / "sessions.json"
    file.chmod(0o644)
    outcome = await flowmesh("whoami")
    assert outcome.code == 2
    assert "chmod 600" in outcome.err
