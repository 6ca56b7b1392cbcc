"""Wheels of plugins: built from a project, and read with every name and size checked."""

import base64
import hashlib
import io
import re
import stat
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from flowmesh.plugins import limits
from flowmesh.plugins.manifest import Manifest, invalid, manifest_of
from flowmesh.plugins.settings import LIBRARIES

PROJECT: Final = "plugin.toml"
MANIFEST: Final = "flowmesh-plugin.json"
# Wheels of one content are equal.
_TIME: Final = (1980, 1, 1, 0, 0, 0)
_PART: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Wheel:
    """A checked wheel: its manifest, the text of its modules by path, its digest and size."""

    manifest: Manifest
    modules: dict[str, str]
    digest: str
    bytes: int


def digest_of(content: bytes) -> str:
    """Return the SHA-256 of a wheel in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def project_manifest(folder: Path) -> Manifest:
    """Return the manifest of a project. Raises PLUGIN_INVALID."""
    try:
        return manifest_of(tomllib.loads((folder / PROJECT).read_text(encoding="utf-8")))
    except OSError as error:
        raise invalid(PROJECT, f"cannot be read in {folder}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise invalid(PROJECT, str(error)) from None


def build(folder: Path) -> tuple[Manifest, bytes]:
    """Return manifest and wheel of a project; equal projects have equal wheels."""
    manifest = project_manifest(folder)
    package = folder / manifest.package
    modules = {
        str(each.relative_to(folder)): each.read_bytes()
        for each in sorted(package.rglob("*"))
        if each.is_file() and "__pycache__" not in each.parts
    }
    if not modules:
        raise invalid(PROJECT, f"there is no package {manifest.package} beside it")
    for library in manifest.libraries:
        for name, content in _library(library):
            modules[f"{manifest.package}/{LIBRARIES}/{name}"] = content
    info = f"{manifest.package}-{manifest.version}.dist-info"
    described = (
        f"Metadata-Version: 2.1\nName: {manifest.name}\nVersion: {manifest.version}\n"
        f"Summary: {manifest.summary}\n"
    )
    files = {
        **modules,
        f"{info}/METADATA": described.encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: flowmesh\n"
        b"Root-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/{MANIFEST}": msgspec.json.format(msgspec.json.encode(manifest), indent=2),
    }
    record = "".join(f"{name},{_record(content)}\n" for name, content in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    wheel = _archive(files)
    read(wheel)
    return manifest, wheel


def _library(name: str) -> Iterator[tuple[str, bytes]]:
    """Yield the sources and the licence of an installed distribution. Raises PLUGIN_INVALID."""
    try:
        found = distribution(name)
    except PackageNotFoundError:
        text = f"{name} is not installed here; `pip install {name}`, and build again"
        raise invalid("manifest.libraries", text) from None
    for file in found.files or ():
        if ".." in file.parts or "__pycache__" in file.parts or not _is_bundled(file):
            continue
        if file.suffix in (".so", ".pyd"):
            raise invalid("manifest.libraries", f"{name} has compiled parts, as {file.name}")
        path = str(file) if file.suffix == ".py" else f"{_title(found)}.{file.stem}"
        yield path, file.read_binary()


def _is_bundled(file: PurePosixPath) -> bool:
    """Return whether a file is code or its licence."""
    if file.parts[0].endswith(".dist-info"):
        return file.stem.upper() in ("LICENSE", "LICENCE", "COPYING", "NOTICE")
    return file.suffix in (".py", ".so", ".pyd")


def _title(found: Distribution) -> str:
    return f"{found.name}-{found.version}"


def _record(content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"sha256={digest},{len(content)}"


def _archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def read(content: bytes) -> Wheel:
    """Return a checked wheel. Nothing is written. Raises PLUGIN_INVALID."""
    if len(content) > limits.WHEEL_BYTES_MAX:
        raise invalid("wheel", f"more than {limits.WHEEL_BYTES_MAX >> 10} KiB")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = _files(archive)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise invalid("wheel", f"is no archive: {error}") from None
    found = [name for name in files if name.endswith(f".dist-info/{MANIFEST}")]
    if len(found) != 1:
        raise invalid("wheel", f"has {len(found)} files {MANIFEST}, not one")
    manifest = manifest_of(files[found[0]])
    info = f"{manifest.package}-{manifest.version}.dist-info"
    modules = {}
    for name, each in files.items():
        top = name.partition("/")[0]
        if top == manifest.package:
            modules[name] = _text(name, each)
        elif top != info:
            text = f"{name[:80]!r} is neither in {manifest.package} nor in {info}"
            raise invalid("wheel", text)
    if f"{manifest.package}/__init__.py" not in modules:
        raise invalid("wheel", f"has no {manifest.package}/__init__.py")
    if manifest.panel and manifest.panel.page not in modules:
        raise invalid("wheel", f"has no {manifest.panel.page}")
    return Wheel(manifest, modules, digest_of(content), len(content))


def _files(archive: zipfile.ZipFile) -> dict[str, bytes]:
    entries = [each for each in archive.infolist() if not each.is_dir()]
    if len(entries) > limits.FILES_MAX:
        raise invalid("wheel", f"more than {limits.FILES_MAX} files")
    files: dict[str, bytes] = {}
    left = limits.FILES_BYTES_MAX
    for entry in entries:
        _check_name(entry)
        if entry.filename in files:
            raise invalid("wheel", f"{entry.filename[:80]!r} is there twice")
        # The size in the archive is what its author wrote; the bytes are counted.
        with archive.open(entry) as file:
            files[entry.filename] = file.read(left + 1)
        left -= len(files[entry.filename])
        if left < 0:
            raise invalid("wheel", f"more than {limits.FILES_BYTES_MAX >> 10} KiB of files")
    return files


def _check_name(entry: zipfile.ZipInfo) -> None:
    """Raise PLUGIN_INVALID for a name that is no plain path below the wheel, and for links."""
    name = entry.filename
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise invalid("wheel", f"{name[:80]!r} is a link or a device, not a file")
    plain = all(_PART.fullmatch(part) for part in name.split("/")) and len(name) <= 150
    if not plain or str(PurePosixPath(name)) != name:
        raise invalid("wheel", f"{name[:80]!r} is no path below the wheel")


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise invalid(
            "wheel", f"{name[:80]!r} is not UTF-8 text; compiled parts are refused"
        ) from None
