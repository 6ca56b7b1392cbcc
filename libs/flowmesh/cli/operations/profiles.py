"""`profile`: named addresses, namespaces, output formats and TLS files of a user."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import ProfileName
from flowmesh.cli.common import Base, Written, command
from flowmesh.cli.profile_store import FIELDS, Profile, read_profiles, write_profiles
from flowmesh.cli.refusals import Refused

QUIET = Written()
TLS_FIELDS = ("ca", "client_cert", "client_key")
BASE = Base()


@command
def list_profiles(*, common: Written = QUIET) -> None:
    """List the profiles; a star marks the current one."""
    found = read_profiles()
    if common.structured:
        output.document(
            [
                {"name": name, "current": name == found.current, **asdict(each)}
                for name, each in found.named.items()
            ]
        )
        return
    rows = [
        ("*" if name == found.current else "", name, *(getattr(each, f) or "-" for f in FIELDS))
        for name, each in found.named.items()
    ]
    header = ("", "NAME", *(each.upper() for each in FIELDS))
    wide = {each.upper() for each in TLS_FIELDS}
    output.columns(header, rows, none="No profiles found.", only_wide=wide)


@command
def show_profile(name: ProfileName = "", /, *, common: Written = QUIET) -> None:
    """Show a profile, by default the current one.

    Args:
        name: Name of the profile.
    """
    found = read_profiles()
    name = name or found.current
    if not name:
        hint = "`flowmesh profile use` selects one"
        raise Refused("no profile is in use", hint, exit_codes.USAGE)
    profile = found.find(name)
    if common.structured:
        output.document({"name": name, **asdict(profile)})
        return
    rows = [(each, getattr(profile, each) or "-") for each in FIELDS]
    output.columns(("name", name), rows)


@command
def set_profile(
    name: str,
    /,
    *,
    address: str | None = None,
    namespace: Annotated[str | None, Parameter(name=["--namespace", "-n"])] = None,
    output_format: Annotated[output.Format | None, Parameter(name=["--output", "-o"])] = None,
    ca: str | None = None,
    client_cert: str | None = None,
    client_key: str | None = None,
    common: Base = BASE,
) -> None:
    """Create a profile, or change some of its fields.

    Args:
        name: Name of the profile.
        address: host:port of the suite's gRPC, or grpcs://host:port; an empty value unsets it.
        namespace: Namespace of commands; an empty value unsets it.
        output_format: Format of standard output.
        ca: File of the authorities to trust, in PEM; FLOWMESH_CA.
        client_cert: File of the certificate of this client, in PEM; FLOWMESH_CLIENT_CERT.
        client_key: File of its key, in PEM; FLOWMESH_CLIENT_KEY.
    """
    found = read_profiles()
    values = {
        "address": address,
        "namespace": namespace,
        "output": output_format,
        "ca": _absolute(ca),
        "client_cert": _absolute(client_cert),
        "client_key": _absolute(client_key),
    }
    changed: dict[str, Any] = {field: value for field, value in values.items() if value is not None}
    found.named[name] = replace(found.named.get(name, Profile()), **changed)
    output.line(f"profile {name} is stored in {write_profiles(found)}")


def _absolute(file: str | None) -> str | None:
    """Return the path for any working folder."""
    return str(Path(file).expanduser().absolute()) if file else file


@command
def use_profile(name: ProfileName = "", /, *, common: Base = BASE) -> None:
    """Set the current profile; --profile and FLOWMESH_PROFILE override it.

    Args:
        name: Name of the profile; without a name, no profile is current.
    """
    found = read_profiles()
    if name:
        found.find(name)
    found.current = name
    write_profiles(found)
    output.line(f"profile {name} is in use" if name else "no profile is in use")


@command
def delete_profile(name: ProfileName, /, *, common: Base = BASE) -> None:
    """Delete a profile and its sessions.

    Args:
        name: Name of the profile.
    """
    from flowmesh.cli.access.sessions import delete_sessions

    found = read_profiles()
    found.find(name)
    del found.named[name]
    if found.current == name:
        found.current = ""
    write_profiles(found)
    delete_sessions(name)
    output.line(f"profile {name} is deleted")
