"""`plugin new|build|key|sign|verify|index`: projects, wheels and catalogues, without a suite."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.common import WRITTEN, Written, command
from flowmesh.cli.refusals import Refused

WheelFile = Annotated[Path, Parameter(help="Wheel of a plugin.")]
KeyFile = Annotated[Path, Parameter(name=["--key", "-k"], help="File of the secret key.")]


@command
def new(
    name: Annotated[str, Parameter(help="Name of the plugin, such as chat-message.")],
    /,
    *,
    kind: Annotated[str, Parameter(help="Kind of the plugin.")] = "task",
    folder: Annotated[
        Path | None, Parameter(name=["--folder", "-d"], help="Folder; by default that of the name.")
    ] = None,
    common: Written = WRITTEN,
) -> None:
    """Write the project of a new plugin, with tests."""
    from flowmesh.plugins.project import write_project

    where = folder or Path(name)
    files = write_project(where, name, kind)
    value = {"folder": str(where), "kind": kind, "files": [str(each) for each in files]}
    output.result(value, f"{where} written; build it: flowmesh plugin build {where}")


@command
def build(
    project: Annotated[Path, Parameter(help="Folder of the project.")] = Path(),
    /,
    *,
    target: Annotated[Path, Parameter(name=["--target", "-t"], help="Folder of the wheel.")] = Path(
        "dist"
    ),
    common: Written = WRITTEN,
) -> None:
    """Build the wheel of a project; equal projects have equal wheels."""
    from flowmesh.plugins import wheels

    manifest, content = wheels.build(project)
    target.mkdir(parents=True, exist_ok=True)
    file = target / manifest.wheel
    file.write_bytes(content)
    digest = wheels.digest_of(content)
    output.result(
        {"file": str(file), "digest": digest, "bytes": len(content)},
        f"{file}: {len(content):,} bytes, sha256 {digest}",
    )


@command
def key(
    file: Annotated[Path, Parameter(help="File of the new secret key.")],
    /,
    *,
    common: Written = WRITTEN,
) -> None:
    """Make a key that signs wheels and indexes, and print its public key."""
    from flowmesh.plugins import signing

    secret, public = signing.new_key()
    try:
        file.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        raise Refused(f"{file} exists already", code=exit_codes.USAGE) from None
    file.write_text(secret + "\n", encoding="utf-8")
    text = f"{file} written; the public key, for FLOWMESH_PLUGIN_KEYS: {public}"
    output.result({"file": str(file), "publicKey": public}, text)


@command
def sign(wheel: WheelFile, /, *, key: KeyFile, common: Written = WRITTEN) -> None:
    """Sign the digest of a wheel; the signature is written beside it."""
    from flowmesh.plugins import signing, wheels

    content = _content(wheel)
    found = wheels.read(content)
    secret = signing.read_key(key)
    file = wheel.with_name(wheel.name + signing.SUFFIX)
    file.write_text(signing.sign(secret, "wheel", found.digest) + "\n", encoding="utf-8")
    value = {"file": str(file), "digest": found.digest, "publicKey": signing.public_of(secret)}
    output.result(value, f"{file} written, signed by {value['publicKey']}")


@command
def verify(
    wheel: WheelFile,
    /,
    *,
    public: Annotated[
        list[str], Parameter(name=["--public-key", "-p"], negative="", help="Trusted public key.")
    ],
    common: Written = WRITTEN,
) -> None:
    """Check a wheel, its manifest and the signature beside it."""
    from flowmesh.plugins import signing, wheels
    from flowmesh.plugins.manifest import words_of

    found = wheels.read(_content(wheel))
    signature = _content(wheel.with_name(wheel.name + signing.SUFFIX)).decode("ascii", "replace")
    keys = signing.public_keys(public)
    signing.check(keys, "wheel", found.digest, signature, wheel.name)
    manifest = found.manifest
    asked = words_of(manifest.permissions)
    value = {
        "name": manifest.name,
        "version": manifest.version,
        "kind": manifest.kind,
        "digest": found.digest,
        "tasks": sorted(manifest.tasks),
        "permissions": asked,
    }
    text = f"{manifest.name} {manifest.version} is signed; it asks for: {', '.join(asked) or '-'}"
    output.result(value, text)


@command
def index(
    folder: Annotated[Path, Parameter(help="Folder with wheels and their signatures.")],
    /,
    *,
    key: KeyFile,
    common: Written = WRITTEN,
) -> None:
    """Write and sign the index of a folder, which makes it a catalogue."""
    from flowmesh.plugins import catalogue, signing

    found = catalogue.write_index(folder, signing.read_key(key))
    names = [f"{each.manifest.name} {each.manifest.version}" for each in found.plugins]
    value = {"folder": str(folder), "plugins": names}
    output.result(value, f"{folder / catalogue.INDEX} written: {', '.join(names) or 'no wheels'}")


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Refused(f"cannot read {file}: {error.strerror}", code=exit_codes.USAGE) from None
