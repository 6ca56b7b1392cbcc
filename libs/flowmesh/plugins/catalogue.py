"""A catalogue: a folder or a URL with wheels and an index that is signed."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta

from flowmesh.egress import Egress, EgressBlocked, EgressFailure, ResponseTooLarge
from flowmesh.errors import NotFound, Unavailable, WrongState
from flowmesh.plugins import limits, signing, wheels
from flowmesh.plugins.manifest import Manifest, invalid, numbers

INDEX: Final = "index.json"
_OFF: Final = (
    "this installation has no catalogue of plugins; its operator sets FLOWMESH_PLUGIN_CATALOGUE to"
    " a folder or URL, and FLOWMESH_PLUGIN_KEYS to the public keys that sign it"
)
_WHEEL = r"^[a-z0-9_]+-[0-9.]+-py3-none-any\.whl$"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A wheel of a catalogue."""

    manifest: Manifest
    file: Annotated[str, Meta(pattern=_WHEEL, max_length=120)]
    digest: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
    # Of the wheel, in base64.
    signature: Annotated[str, Meta(max_length=200)]


class Index(msgspec.Struct, frozen=True):
    """The content of a catalogue."""

    plugins: Annotated[tuple[Entry, ...], Meta(max_length=limits.INDEX_ENTRIES_MAX)]


def write_index(folder: Path, key: Ed25519PrivateKey) -> Index:
    """Sign the index of the wheels of a folder, each of which has a signature beside it."""
    entries = []
    for file in sorted(folder.glob("*.whl")):
        wheel = wheels.read(file.read_bytes())
        beside = file.with_name(file.name + signing.SUFFIX)
        if not beside.is_file():
            raise invalid(str(file), "has no signature beside it; `flowmesh plugin sign` makes one")
        entries.append(
            Entry(
                manifest=wheel.manifest,
                file=file.name,
                digest=wheel.digest,
                signature=beside.read_text(encoding="utf-8").strip(),
            )
        )
    index = Index(tuple(entries))
    content = msgspec.json.format(msgspec.json.encode(index), indent=2) + b"\n"
    (folder / INDEX).write_bytes(content)
    signature = signing.sign(key, "index", wheels.digest_of(content))
    (folder / (INDEX + signing.SUFFIX)).write_text(signature + "\n", encoding="utf-8")
    return index


class Catalogue:
    """Reads a catalogue and believes only what one of the keys signed."""

    def __init__(self, place: str, keys: Sequence[Ed25519PublicKey], egress: Egress) -> None:
        self._place, self._keys, self._egress = place.rstrip("/"), tuple(keys), egress

    async def entries(self) -> tuple[Entry, ...]:
        """Return the entries by name and version, the newest first.

        Raises PLUGIN_UNTRUSTED, PLUGIN_INVALID, PLUGIN_CATALOGUE_OFF and
        PLUGIN_CATALOGUE_UNAVAILABLE.
        """
        content = await self._read(INDEX, limits.INDEX_BYTES_MAX)
        signature = (await self._read(INDEX + signing.SUFFIX, 1_024)).decode("ascii", "replace")
        digest = wheels.digest_of(content)
        signing.check(self._keys, "index", digest, signature, "the index of the catalogue")
        try:
            index = msgspec.json.decode(content, type=Index)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise invalid("index", str(error)) from None
        newest = sorted(
            index.plugins, key=lambda each: numbers(each.manifest.version), reverse=True
        )
        return tuple(sorted(newest, key=lambda each: each.manifest.name))

    async def find(self, name: str, version: str = "") -> Entry:
        """Return a version of a plugin, by default the newest. Raises PLUGIN_NOT_FOUND."""
        for each in await self.entries():
            if each.manifest.name == name and version in ("", each.manifest.version):
                return each
        title = f"{name} {version}".strip()
        raise NotFound("PLUGIN_NOT_FOUND", f"the catalogue has no plugin {title!r}")

    async def wheel(self, entry: Entry) -> wheels.Wheel:
        """Return the checked wheel of an entry. Raises PLUGIN_UNTRUSTED and PLUGIN_INVALID."""
        content = await self._read(entry.file, limits.WHEEL_BYTES_MAX)
        if (digest := wheels.digest_of(content)) != entry.digest:
            text = f"{entry.file} is not the wheel of the index: its digest is {digest[:16]}"
            raise WrongState("PLUGIN_UNTRUSTED", f"{text}, not {entry.digest[:16]}")
        signing.check(self._keys, "wheel", digest, entry.signature, entry.file)
        wheel = await asyncio.to_thread(wheels.read, content)
        if wheel.manifest != entry.manifest:
            text = f"the manifest in {entry.file} is not that of the index"
            raise WrongState("PLUGIN_UNTRUSTED", text)
        return wheel

    async def _read(self, name: str, bytes_max: int) -> bytes:
        if not self._place:
            raise WrongState("PLUGIN_CATALOGUE_OFF", _OFF)
        if not self._place.startswith(("http://", "https://")):
            return await asyncio.to_thread(_file, Path(self._place) / name, bytes_max)
        try:
            answer = await self._egress.send(
                "GET",
                f"{self._place}/{name}",
                headers={},
                timeout_ms=limits.CATALOGUE_TIMEOUT_MS,
                response_bytes_max=bytes_max,
            )
        except (EgressFailure, EgressBlocked, ResponseTooLarge) as error:
            raise _unavailable(name, str(error)) from None
        if answer.status != 200:
            raise _unavailable(name, f"status {answer.status}")
        return answer.body


def _file(file: Path, bytes_max: int) -> bytes:
    try:
        with file.open("rb") as opened:
            content = opened.read(bytes_max + 1)
    except OSError as error:
        raise _unavailable(file.name, str(error.strerror)) from None
    if len(content) > bytes_max:
        raise _unavailable(file.name, f"more than {bytes_max >> 10} KiB")
    return content


def _unavailable(name: str, problem: str) -> Unavailable:
    text = f"{name} of the catalogue cannot be read: {problem}"
    return Unavailable("PLUGIN_CATALOGUE_UNAVAILABLE", text)
