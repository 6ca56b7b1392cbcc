"""Connections of a client: how many it opens, and when it replaces them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from flowmesh.certificates import Authority, Request, issue
from flowmesh.errors import Invalid
from flowmesh.sdk import Tls
from flowmesh.sdk.transport.channels import Channels
from flowmesh.sdk.transport.endpoint import Endpoint
from flowmesh.sdk.values import limits


@pytest.fixture
async def channels() -> AsyncIterator[Channels]:
    made = Channels(Endpoint.of("127.0.0.1:1"))
    yield made
    await made.close()


async def test_a_full_connection_is_followed_by_another(channels: Channels) -> None:
    """The first with capacity is used again; all full, the least used one takes more."""
    first = channels.pick()
    first.calls = limits.CONNECTION_CALLS - 1
    assert channels.pick() is first
    first.calls = limits.CONNECTION_CALLS
    second = channels.pick()
    assert second is not first
    first.calls -= 1
    assert channels.pick() is first
    opened = {first, second}
    while len(opened) < limits.CONNECTIONS_MAX:
        for each in opened:
            each.calls = limits.CONNECTION_CALLS
        opened.add(channels.pick())
    for each in opened:
        each.calls = limits.CONNECTION_CALLS + 1
    second.calls = limits.CONNECTION_CALLS
    assert channels.pick() is second


class Files:
    """The files of a client certificate, as options of TLS."""

    def __init__(self, folder: Path) -> None:
        self._authority = Authority.create(folder / "authority", "authority")
        self._folder = folder / "client"
        ca = folder / "authority" / "ca.pem"
        self.tls = Tls(ca, self._folder / "cert.pem", self._folder / "key.pem")
        self.write()

    def write(self) -> None:
        issue(self._authority, Request("client", "ada", ("127.0.0.1",)), self._folder)


def test_an_endpoint_takes_new_files_when_they_are_whole(tmp_path: Path) -> None:
    """Unchanged ones change nothing; none is used that changes while it is read."""
    files = Files(tmp_path)
    endpoint = Endpoint.of("grpcs://127.0.0.1:1", files.tls)
    assert endpoint.renewed() is None
    files.write()
    renewed = endpoint.renewed()
    assert renewed is not None
    assert renewed.stamp != endpoint.stamp
    assert renewed.renewed() is None
    Path(files.tls.certificate).write_text("no certificate")
    with pytest.raises(Invalid, match="do not fit together"):
        renewed.renewed()


def test_files_that_change_while_they_are_read_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificate could be that of another key."""
    files = Files(tmp_path)
    endpoint = Endpoint.of("grpcs://127.0.0.1:1", files.tls)
    files.write()
    monkeypatch.setattr(Tls, "check", lambda _: files.write())
    with pytest.raises(Invalid, match="are being written"):
        endpoint.renewed()


async def test_connections_are_replaced_when_certificates_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked at once a second; a former one closes with its last call."""
    now = 0.0
    clock = SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr("flowmesh.sdk.transport.channels.time", clock)
    files = Files(tmp_path)
    channels = Channels(Endpoint.of("grpcs://127.0.0.1:1", files.tls))
    former = channels.pick()
    files.write()
    assert channels.pick() is former
    now += limits.CERTIFICATES_CHECKED_S
    newer = channels.pick()
    assert newer is not former
    assert list(channels._former.values()) == [former]
    now += limits.CERTIFICATES_CHECKED_S
    assert channels.pick() is newer
    await asyncio.wait(channels._former)
    assert not channels._former
    await channels.close()
