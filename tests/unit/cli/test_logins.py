"""`flowmesh login` by a browser, kept sessions, and the Model Context Protocol on streams."""

import json
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from flowmesh.cli.access.sessions import (
    Place,
    Session,
    delete_sessions,
    read_session,
    write_session,
)
from flowmesh.cli.refusals import Refused
from flowmesh.sdk import Tokens
from tests.unit.cli.conftest import Outcome
from tests.unit.cli.scripted_suite import ScriptedSuite, called

ADA = {"id": "usr_1", "email": "ada@example.com"}
TOKENS = {"accessToken": "made.up.token", "refreshToken": "made-up-refresh"}
OPENED = {"user": ADA, "tokens": TOKENS}
ANSWERS: dict[str, Any] = {
    "StartDeviceLogin": {
        "deviceCode": "made-up-code",
        "userCode": "ABCD-EFGH",
        "verificationUrl": "https://flowmesh.example.com/device",
        "authorizationUrl": "https://flowmesh.example.com/authorize",
        "intervalSeconds": 0,
    },
    "CompleteLoopbackLogin": OPENED,
    "CompleteDeviceLogin": [{"error": "LOGIN_PENDING", "message": "wait"}, OPENED],
}
PLACE = Place("", "127.0.0.1:7450")
SESSION = Session("ada@example.com", Tokens("made.up.token", "made-up-refresh", 1.0))
Command = Callable[..., Outcome]


@pytest.fixture
def command(
    scripted: ScriptedSuite,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """`command("login", answers)` at a scripted suite, with an empty folder of sessions."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    def run(words: str, answers: Mapping[str, Any] = ANSWERS, **entry: str) -> Outcome:
        code = called(words, {"answers": answers, **entry}, scripted, monkeypatch)
        shown = capsys.readouterr()
        return Outcome(code, shown.out, shown.err)

    return run


def visit(address: str, **query: str) -> int:
    """Return the status of a page."""
    try:
        with urllib.request.urlopen(f"{address}?{urlencode(query)}") as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_browser_completes_a_login(
    command: Command, scripted: ScriptedSuite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a request with the state of the login ends it."""
    statuses = []

    def browse(page: str) -> bool:
        query = {name: values[0] for name, values in parse_qs(urlsplit(page).query).items()}
        callback, state = query["redirect_uri"], query["state"]
        for each, code in (("foreign", "a"), (state, "made-up-code"), (state, "late")):
            statuses.append(visit(callback, state=each, code=code))
        statuses.append(visit(callback.replace("callback", "other"), state=state, code="a"))
        statuses.append(visit(callback, state=state))
        return True

    monkeypatch.setattr("webbrowser.open", browse)
    done = command("login")
    assert (done.code, done.out) == (0, f"logged in to {scripted.address} as ada@example.com\n")
    assert statuses == [400, 200, 400, 400, 400]
    [sent] = scripted.requests("CompleteLoopbackLogin")
    assert (sent["clientId"], sent["code"]) == ("flowmesh-cli", "made-up-code")
    assert urlsplit(sent["redirectUri"]).path == "/callback"


def test_a_login_without_a_browser_shows_a_code(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page of the device is the other way."""
    monkeypatch.setattr("webbrowser.open", lambda page: False)
    done = command("login")
    assert done.code == 0
    assert done.err.splitlines() == [
        "flowmesh: no browser was found",
        "open https://flowmesh.example.com/device?code=ABCD-EFGH and enter the code ABCD-EFGH",
    ]


def test_a_browser_that_does_not_answer_ends_the_login(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line names the way without a browser."""
    monkeypatch.setattr("webbrowser.open", lambda page: True)
    monkeypatch.setattr("asyncio.wait_for", _expired)
    done = command("login --deadline 1")
    assert done.code == 1
    assert done.err.endswith(
        "no answer from the browser within 1 s (`flowmesh login --device` needs no browser here)\n"
    )


async def _expired(future: Any, within_s: float) -> Any:
    raise TimeoutError


def test_a_browser_opens_the_page_of_a_device(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `--device`."""
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert command("login --device").code == 0
    assert opened == ["https://flowmesh.example.com/device?code=ABCD-EFGH"]


@pytest.mark.parametrize(
    ("typed", "says"),
    [(("one", "two"), "the two passwords differ"), (("",), "a password has 1 to 1,024")],
)
def test_a_password_is_typed_twice(
    command: Command, monkeypatch: pytest.MonkeyPatch, typed: tuple[str, ...], says: str
) -> None:
    """A wrong one registers no user."""
    answers = iter((*typed, *typed))
    monkeypatch.setattr("getpass.getpass", lambda prompt: next(answers))
    done = command("identity register --email ada@example.com", {}, types="")
    assert (done.code, says in done.err) == (2, True), done.err


def test_sessions_are_kept_by_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a deleted profile are forgotten."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    other = Place("shop", "127.0.0.1:7450")
    write_session(PLACE, SESSION)
    write_session(other, SESSION)
    delete_sessions("shop")
    delete_sessions("gone")
    assert (read_session(PLACE), read_session(other)) == (SESSION, None)


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [
        ("[]", 0o600, "is not a file of sessions"),
        ("{", 0o600, "is not a file of sessions"),
        ("{}", 0o644, "other users can read"),
    ],
)
def test_a_wrong_file_of_sessions_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, mode: int, says: str
) -> None:
    """The message has its path."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    write_session(PLACE, SESSION)
    [file] = tmp_path.rglob("sessions.json")
    file.write_text(text)
    file.chmod(mode)
    with pytest.raises(Refused) as refused:
        read_session(PLACE)
    assert says in refused.value.text
    assert str(file) in refused.value.text


def test_an_incomplete_session_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of another version of the command."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    write_session(PLACE, SESSION)
    [file] = tmp_path.rglob("sessions.json")
    file.write_text(json.dumps({str(PLACE): {"email": "ada@example.com", "tokens": {}}}))
    assert read_session(PLACE) is None


class KeyringError(Exception):
    """The error of a key store that is locked."""


def key_store(secrets: dict[tuple[str, str], str], *, locked: bool = False) -> list[ModuleType]:
    """Return the modules of the package `keyring` over a dictionary."""

    def opened() -> dict[tuple[str, str], str]:
        if locked:
            raise KeyringError
        return secrets

    keyring, errors = ModuleType("keyring"), ModuleType("keyring.errors")
    functions = {
        "get_password": lambda service, name: opened().get((service, name)),
        "set_password": lambda service, name, secret: opened().update({(service, name): secret}),
        "delete_password": lambda service, name: opened().pop((service, name)),
    }
    vars(keyring).update(functions)
    vars(errors).update(KeyringError=KeyringError)
    return [keyring, errors]


@pytest.mark.parametrize("locked", [False, True])
def test_tokens_are_in_the_key_store_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locked: bool
) -> None:
    """In the file only where the store is locked; they are deleted with the session."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    stored: dict[tuple[str, str], str] = {}
    for module in key_store(stored, locked=locked):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    write_session(PLACE, SESSION)
    [file] = tmp_path.rglob("sessions.json")
    assert ("made-up-refresh" in file.read_text()) == locked
    assert len(stored) == (0 if locked else 1)
    assert read_session(PLACE) == SESSION
    delete_sessions("")
    assert (read_session(PLACE), stored) == (None, {})


class Gateway(BaseHTTPRequestHandler):
    """Answers a message of the protocol by its method."""

    answers: ClassVar[Mapping[str, tuple[int, Any]]] = {
        "ping": (200, {"jsonrpc": "2.0", "id": 1, "result": {}}),
        "note": (202, ""),
        "slow": (429, {"jsonrpc": "2.0", "id": 3, "error": {"code": 1, "message": "slow down"}}),
        "secret": (403, {"error": {"message": "your role is viewer", "reason": "ROLE_REQUIRED"}}),
        "broken": (502, "no"),
    }
    paths: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.paths.append(self.path)
        status, answer = self.answers[message["method"]]
        body = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Write no log."""


@pytest.fixture
def gateway() -> Iterator[str]:
    """The address of a gateway."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_messages_of_the_protocol_are_passed_on(command: Command, gateway: str) -> None:
    """Answers and refusals are lines; a notification has none."""
    instance = {"name": "gateway", "metadata": {"http": gateway}}
    lines = [
        '{"jsonrpc": "2.0", "id": 1, "method": "ping"}',
        '{"jsonrpc": "2.0", "method": "note"}',
        "",
        '{"jsonrpc": "2.0", "id": 3, "method": "slow"}',
        '{"jsonrpc": "2.0", "id": 4, "method": "secret"}',
        '{"jsonrpc": "2.0", "id": 5, "method": "broken"}',
        '{"jsonrpc": "2.0", "method": "broken"}',
    ]
    registry = {"ListInstances": {"instances": [instance]}}
    done = command("mcp", registry, stdin="\n".join(lines) + "\n")
    assert done.code == 0, done.err
    found = {each["id"]: each for each in map(json.loads, done.out.splitlines())}
    assert found[1]["result"] == {}
    assert {name: each["error"]["message"] for name, each in found.items() if name != 1} == {
        3: "slow down",
        4: "your role is viewer [ROLE_REQUIRED]",
        5: "the gateway answered 502",
    }
    assert set(Gateway.paths) == {"/mcp"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("mcp --url gateway", "'gateway' is no URL of a gateway (write it as https://host:port)"),
        ("mcp", "no gateway with an HTTP address is registered (name it: `flowmesh mcp --url"),
    ],
)
def test_the_protocol_needs_a_gateway(command: Command, words: str, says: str) -> None:
    """One line says how to name it."""
    refused = command(words, {"ListInstances": {}})
    assert refused.code != 0
    assert says in refused.err


def test_a_gateway_that_is_gone_is_an_error_of_the_request(command: Command) -> None:
    """The editor gets it with the id of its message."""
    lines = '{"id": 1, "method": "ping"}\nodd\n'
    done = command("mcp --url http://127.0.0.1:9/base", {}, stdin=lines)
    errors = [json.loads(line) for line in done.out.splitlines()]
    assert {each["id"] for each in errors} == {1, None}
    assert {each["error"]["code"] for each in errors} == {-32603}
