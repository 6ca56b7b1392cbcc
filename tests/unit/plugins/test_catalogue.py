"""Catalogues: what a trusted key signed is read, and nothing else."""

from pathlib import Path

import msgspec
import pytest

from flowmesh.egress import OPEN, Egress, Policy
from flowmesh.errors import FlowmeshError, Invalid, NotFound, Unavailable, WrongState
from flowmesh.plugins import limits, signing, wheels
from flowmesh.plugins.catalogue import INDEX, Catalogue, write_index
from flowmesh.plugins.project import write_project
from tests.features.plugins.servers import served
from tests.unit.plugins.projects import changed, project, wheel_of

WHEEL = "chat_note-0.1.0-py3-none-any.whl"


class Signed:
    """A folder with one signed wheel and a signed index."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "catalogue"
        self.folder.mkdir()
        (folder / "key").write_text(signing.new_key()[0])
        self.key = signing.read_key(folder / "key")
        self.put(wheel_of(folder))

    def put(self, wheel: bytes) -> None:
        """Add a wheel of any content with a right signature, and sign the index."""
        self.replace(wheel)
        signature = signing.sign(self.key, "wheel", wheels.digest_of(wheel))
        (self.folder / (WHEEL + signing.SUFFIX)).write_text(signature)
        write_index(self.folder, self.key)

    def replace(self, wheel: bytes) -> None:
        (self.folder / WHEEL).write_bytes(wheel)

    def sign_index(self, content: bytes) -> None:
        """Replace the index by any content with a right signature."""
        (self.folder / INDEX).write_bytes(content)
        signature = signing.sign(self.key, "index", wheels.digest_of(content))
        (self.folder / (INDEX + signing.SUFFIX)).write_text(signature)

    def catalogue(self, public: str = "") -> Catalogue:
        keys = signing.public_keys([public or signing.public_of(self.key)])
        return Catalogue(str(self.folder), keys, Egress(OPEN))


@pytest.fixture
def signed(tmp_path: Path) -> Signed:
    return Signed(tmp_path)


async def test_a_signed_wheel_is_read(signed: Signed) -> None:
    """A name finds the newest version, and a version that is not there is named."""
    entry = await signed.catalogue().find("chat-note")
    assert (await signed.catalogue().wheel(entry)).manifest.version == "0.1.0"
    with pytest.raises(NotFound, match=r"no plugin 'chat-note 9.9.9'"):
        await signed.catalogue().find("chat-note", "9.9.9")


async def test_a_changed_wheel_is_refused(signed: Signed, tmp_path: Path) -> None:
    """The digest of the wheel is compared with that of the index."""
    entry = await signed.catalogue().find("chat-note")
    signed.replace(changed(wheel_of(tmp_path / "again"), {"chat_note/tasks.py": b"evil = 1\n"}))
    with pytest.raises(WrongState, match="is not the wheel of the index") as caught:
        await signed.catalogue().wheel(entry)
    assert caught.value.reason == "PLUGIN_UNTRUSTED"


async def test_an_index_of_another_key_is_refused(signed: Signed) -> None:
    """An index is believed only with the signature of a trusted key."""
    _, public = signing.new_key()
    with pytest.raises(WrongState, match="made the signature of the index") as caught:
        await signed.catalogue(public).entries()
    assert caught.value.reason == "PLUGIN_UNTRUSTED"


async def test_a_changed_index_is_refused(signed: Signed) -> None:
    """One changed word breaks the signature."""
    file = signed.folder / INDEX
    file.write_bytes(file.read_bytes().replace(b"Greet", b"Great"))
    with pytest.raises(WrongState, match="made the signature of the index"):
        await signed.catalogue().entries()


async def test_a_wheel_of_another_key_is_refused(signed: Signed, tmp_path: Path) -> None:
    """A wheel needs a trusted signature of its own; that of the index is none of a wheel."""
    (tmp_path / "other").write_text(signing.new_key()[0])
    other = signing.read_key(tmp_path / "other")
    digest = wheels.digest_of((signed.folder / WHEEL).read_bytes())
    for key, subject in ((other, "wheel"), (signed.key, "index")):
        signature = signing.sign(key, subject, digest)  # type: ignore[arg-type]
        (signed.folder / (WHEEL + signing.SUFFIX)).write_text(signature)
        write_index(signed.folder, signed.key)
        entry = await signed.catalogue().find("chat-note")
        with pytest.raises(WrongState, match="made the signature of chat_note"):
            await signed.catalogue().wheel(entry)


async def test_a_wheel_without_a_signature_is_not_indexed(signed: Signed) -> None:
    """The index has signed wheels only."""
    (signed.folder / (WHEEL + signing.SUFFIX)).unlink()
    with pytest.raises(FlowmeshError, match="has no signature beside it"):
        write_index(signed.folder, signed.key)


async def test_a_catalogue_that_cannot_be_read_says_so(signed: Signed) -> None:
    """A missing file and a missing setting are named."""
    (signed.folder / INDEX).unlink()
    with pytest.raises(Unavailable, match=r"index.json of the catalogue cannot be read: No such"):
        await signed.catalogue().entries()
    nowhere = Catalogue("", (), Egress(OPEN))
    with pytest.raises(WrongState, match=r"sets FLOWMESH_PLUGIN_CATALOGUE to a folder") as caught:
        await nowhere.entries()
    assert caught.value.reason == "PLUGIN_CATALOGUE_OFF"


async def test_an_index_is_bounded(signed: Signed) -> None:
    """In its bytes, and in its wheels."""
    file = signed.folder / INDEX
    (entry,) = msgspec.json.decode(file.read_bytes())["plugins"]
    many = msgspec.json.encode({"plugins": [entry] * (limits.INDEX_ENTRIES_MAX + 1)})
    assert len(many) < limits.INDEX_BYTES_MAX
    signed.sign_index(many)
    with pytest.raises(Invalid, match="length <= 5000"):
        await signed.catalogue().entries()
    signed.sign_index(bytes(limits.INDEX_BYTES_MAX + 1))
    with pytest.raises(Unavailable, match="more than 4096 KiB"):
        await signed.catalogue().entries()


def test_a_project_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    """The refusal names the kinds that there are, and nothing is written."""
    with pytest.raises(Invalid, match=r"'hook' is not supported; .* of: task, connector"):
        write_project(tmp_path / "hook", "hook", "hook")
    assert not (tmp_path / "hook").exists()


async def test_a_catalogue_of_a_url_is_read_within_the_egress_policy(signed: Signed) -> None:
    """Index and wheel come by HTTP; the policy, a missing and a large file refuse them."""
    keys = signing.public_keys([signing.public_of(signed.key)])
    async with served(signed.folder) as url, Egress(OPEN) as open_door:
        found = Catalogue(url, keys, open_door)
        assert (await found.wheel(await found.find("chat-note"))).manifest.version == "0.1.0"
        async with Egress(Policy.named("public")) as public_door:
            with pytest.raises(Unavailable, match=r"index.json of the catalogue cannot be read"):
                await Catalogue(url, keys, public_door).entries()
        entry = await found.find("chat-note")
        (signed.folder / WHEEL).write_bytes(bytes(limits.WHEEL_BYTES_MAX + 1))
        with pytest.raises(Unavailable, match=f"{WHEEL} of the catalogue cannot be read"):
            await found.wheel(entry)
        (signed.folder / WHEEL).unlink()
        with pytest.raises(Unavailable, match="status 404"):
            await found.wheel(entry)


def test_a_new_project_has_a_name_that_fits(tmp_path: Path) -> None:
    """The name of a project is that of a manifest."""
    with pytest.raises(FlowmeshError, match="name"):
        project(tmp_path, "Not A Name")
