"""The suite that runs in a folder: which file names it, and what the file may say."""

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from flowmesh.sdk import Tls
from flowmesh.sdk.transport.environment import (
    DEFAULT_ADDRESS,
    DEV_FILE,
    actor_or_default,
    located,
    namespace_or_default,
    running_suite,
)

ADDRESS = "127.0.0.1:1"
INIT = 1


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, without settings of the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("ADDRESS", "NAMESPACE", "ACTOR", "CA", "CLIENT_CERT", "CLIENT_KEY"):
        monkeypatch.delenv(f"FLOWMESH_{name}", raising=False)


def says(**about: object) -> Path:
    """Write the file of a suite that runs in this process, with other members on top."""
    DEV_FILE.parent.mkdir(exist_ok=True)
    DEV_FILE.write_bytes(orjson.dumps({"pid": os.getpid(), "grpc": ADDRESS} | about))
    return DEV_FILE.absolute()


def test_a_suite_is_found_from_its_folder_and_those_below() -> None:
    """The nearest file counts; without one the default address is used."""
    assert located("", None) == (DEFAULT_ADDRESS, None)
    file = says()
    below = Path("a/b")
    below.mkdir(parents=True)
    for folder in (None, below):
        found = running_suite(folder)
        assert found is not None
        assert (found.address, found.file, found.ca) == (ADDRESS, file, "")
    assert located("", None) == (ADDRESS, None)
    assert located("given:1", None) == ("given:1", None)


def test_the_file_of_an_ended_process_is_ignored() -> None:
    """That of a process of another user, such as the first one of the machine, is not."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    for pid in (process.pid, 0, -1, 2**40, True, str(os.getpid()), None):
        says(pid=pid)
        assert running_suite() is None, pid
    says(pid=INIT)
    assert running_suite() is not None


@pytest.mark.parametrize("content", [b"{", b"[]", b"null", b"{}", b'{"pid": 1}'])
def test_a_malformed_file_is_ignored(content: bytes) -> None:
    """So is one whose members have other types."""
    says().write_bytes(content)
    assert running_suite() is None
    for about in ({"grpc": ""}, {"grpc": 1}, {"ca": 1}):
        says(**about)
        assert running_suite() is None, about


def test_a_file_leads_no_credential_away() -> None:
    """It names an authority for this machine only, and no address with a scheme."""
    for address, expected in (
        (ADDRESS, (ADDRESS, "/ca.pem")),
        ("[::1]:1", ("[::1]:1", "/ca.pem")),
        ("example.com:1", ("example.com:1", "")),
        ("grpcs://example.com:1", None),
    ):
        says(grpc=address, ca="/ca.pem")
        found = running_suite()
        assert (found and (found.address, found.ca)) == expected


def test_the_authority_of_a_suite_is_trusted_without_other_options(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """TLS options of the caller, and those of the environment, precede it."""
    says(ca="/ca.pem")
    assert located("", None) == (ADDRESS, Tls("/ca.pem"))
    assert located("", False) == (ADDRESS, False)
    monkeypatch.setenv("FLOWMESH_CA", "/own.pem")
    assert located("", None) == (ADDRESS, Tls("/own.pem"))


def test_namespace_and_actor_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given ones precede; a credential decides about the namespace where nothing names one."""
    assert namespace_or_default("", has_credential=False) == "default"
    assert (namespace_or_default("", has_credential=True), actor_or_default("")) == ("", "")
    monkeypatch.setenv("FLOWMESH_NAMESPACE", "shop")
    monkeypatch.setenv("FLOWMESH_ACTOR", "ada")
    assert namespace_or_default("", has_credential=True) == "shop"
    assert namespace_or_default("own", has_credential=True) == "own"
    assert (actor_or_default(""), actor_or_default("bob")) == ("ada", "bob")
