"""Applications use the credentials that their document names, and none of the machine."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from flowmesh.apps.document.loading import Loading, load
from flowmesh.apps.observing.logs import LogHub
from flowmesh.apps.runtime.application import Application
from flowmesh.errors import Invalid
from flowmesh.testing.polling import until

Json = dict[str, Any]

KEYS = {"accessKeyId": "OF-THE-DOCUMENT", "secretAccessKey": "s"}
# Types with the credentials of their document: all, and what is left of them when they are absent.
TYPES: dict[str, tuple[Json, Json]] = {
    "storage.s3": ({"bucket": "files", **KEYS}, {"accessKeyId": "", "secretAccessKey": ""}),
    "secrets.aws": (KEYS, {"accessKeyId": "", "secretAccessKey": ""}),
    "secrets.vault": ({"token": "OF-THE-DOCUMENT"}, {"token": ""}),
    "storage.gcs": ({"bucket": "files", "credentialsFile": "account.json"}, {}),
}
MACHINE = "OF-THE-MACHINE"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: "Server") -> Path:
    """A machine with credentials at each place where a library looks; returns a release."""
    home, release = tmp_path / "home", tmp_path / "release"
    account = {"type": "authorized_user", "client_id": MACHINE, "client_secret": "s"}
    aws = f"aws_access_key_id = {MACHINE}\naws_secret_access_key = s\n"
    files = {
        ".aws/credentials": f"[default]\n{aws}[other]\n{aws}",
        ".aws/config": f"[default]\nendpoint_url = {server.url}\n",
        ".vault-token": MACHINE,
        ".config/gcloud/application_default_credentials.json": json.dumps(account),
        ".netrc": f"machine 127.0.0.1 login {MACHINE} password s\n",
    }
    for name, text in files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    variables = {
        "HOME": str(home),
        "AWS_ACCESS_KEY_ID": MACHINE,
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_SESSION_TOKEN": MACHINE,
        "AWS_PROFILE": "absent",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{server.url}/task",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(home / ".vault-token"),
        "VAULT_TOKEN": MACHINE,
        "GOOGLE_APPLICATION_CREDENTIALS": str(home / ".vault-token"),
        "STORAGE_EMULATOR_HOST": server.url,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    release.mkdir()
    return release


class Server:
    """A server of this machine; `seen` has path and headers of each request."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        body = (await request.read()).decode(errors="replace")
        self.seen.append(f"{request.path} {dict(request.headers)} {body}")
        return web.json_response({"access_token": "given", "expires_in": 60})


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made, application = Server(), web.Application()
    application.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


def application(release: Path, kind: str, config: Json) -> Application:
    """Build an application with one module. Raises Invalid."""
    document = release / "app.yaml"
    module = {"name": "tested", "type": kind, "config": config}
    document.write_text(yaml.safe_dump({"modules": [module]}))
    how = Loading(environment={}, required=True)
    return Application(load(document, how), log=LogHub(app="x", write=lambda _line: None))


def compatible(kind: str, server: Server) -> Json:
    """Return the address of the server, where the type has one."""
    keys = {"secrets.vault": "address", "storage.gcs": ""}
    key = keys.get(kind, "endpoint")
    return {key: server.url} if key else {}


@pytest.mark.parametrize("kind", TYPES)
async def test_calls_have_the_credentials_of_the_document(
    machine: Path, server: Server, kind: str
) -> None:
    """What the files, variables and services of the machine offer is in no request."""
    account = {"type": "authorized_user", "client_id": "OF-THE-DOCUMENT", "client_secret": "s"}
    account |= {"refresh_token": "r", "token_uri": f"{server.url}/token"}
    (machine / "account.json").write_text(json.dumps(account))
    made = application(machine, kind, {**compatible(kind, server), **TYPES[kind][0]})
    module = made.built.modules["tested"]
    assert module.health is not None
    await module.start()
    # GCS itself is not reachable from tests; its token is asked before.
    looking = asyncio.ensure_future(module.health())

    async def asked() -> bool:
        return bool(server.seen)

    await until("a request", asked, within_s=20)
    looking.cancel()
    await asyncio.wait([looking])
    await module.stop()
    assert any("OF-THE-DOCUMENT" in each for each in server.seen)
    assert MACHINE not in str(server.seen)


@pytest.mark.parametrize("kind", TYPES)
async def test_a_type_without_credentials_is_refused(
    machine: Path, server: Server, kind: str
) -> None:
    """It names its missing keys, also if they are empty; the machine's are not tried."""
    full, left = TYPES[kind]
    names = [each for each in full if each != "bucket"]
    absent = {key: value for key, value in full.items() if key not in names}
    for config in (absent, {**full, **left} if left else absent):
        with pytest.raises(Invalid) as caught:
            application(machine, kind, {**compatible(kind, server), **config})
        said = " ".join(each.description for each in caught.value.violations)
        assert names[0] in said, said
    assert server.seen == []


@pytest.mark.parametrize(
    "source", [{"file": "/etc/hostname"}, {"executable": {"command": "/bin/true"}}]
)
async def test_an_account_reads_nothing_of_the_machine(machine: Path, source: Json) -> None:
    """Kinds of accounts whose tokens are files or programs of the machine are refused."""
    account = {"type": "external_account", "credential_source": source, "audience": "a"}
    account |= {"subject_token_type": "t", "token_url": "https://example.com"}
    (machine / "account.json").write_text(json.dumps(account))
    with pytest.raises(Invalid, match="service_account") as caught:
        application(machine, "storage.gcs", TYPES["storage.gcs"][0])
    assert "external_account" in str(caught.value.violations)
