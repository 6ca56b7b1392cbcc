"""`profile`: named addresses, namespaces and output formats of this user."""

from dataclasses import asdict, replace
from typing import Annotated, Any

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import ProfileName
from flowmesh.cli.common import Base, Written, guarded
from flowmesh.cli.profile_store import FIELDS, Profile, read_profiles, write_profiles
from flowmesh.cli.refusals import Refused

QUIET = Written()
BASE = Base()


def list_profiles(*, common: Written = QUIET) -> int:
    """List the profiles; a star marks the one in use."""

    def work() -> int:
        found = read_profiles()
        if common.structured:
            output.document(
                [
                    {"name": name, "current": name == found.current, **asdict(each)}
                    for name, each in found.named.items()
                ]
            )
            return exit_codes.DONE
        rows = [
            ("*" if name == found.current else "", name, *(getattr(each, f) or "-" for f in FIELDS))
            for name, each in found.named.items()
        ]
        header = ("", "NAME", *(each.upper() for each in FIELDS))
        output.columns(header, rows, none="No profiles found.")
        return exit_codes.DONE

    return guarded(common, work)


def show_profile(name: ProfileName = "", /, *, common: Written = QUIET) -> int:
    """Show a profile, by default the one in use.

    Parameters
    ----------
    name
        Name of the profile.
    """

    def work() -> int:
        found = read_profiles()
        wanted = name or found.current
        if not wanted:
            hint = "`flowmesh profile use` chooses one"
            raise Refused("no profile is in use", hint, exit_codes.USAGE)
        profile = found.named_or_refused(wanted)
        if common.structured:
            output.document({"name": wanted, **asdict(profile)})
            return exit_codes.DONE
        rows = [(each, getattr(profile, each) or "-") for each in FIELDS]
        output.columns(("name", wanted), rows)
        return exit_codes.DONE

    return guarded(common, work)


def set_profile(
    name: str,
    /,
    *,
    address: str | None = None,
    namespace: Annotated[str | None, Parameter(name=["--namespace", "-n"])] = None,
    output_format: Annotated[output.Format | None, Parameter(name=["--output", "-o"])] = None,
    common: Base = BASE,
) -> int:
    """Make a profile, or change those fields of it that are given.

    Parameters
    ----------
    name
        Name of the profile.
    address
        host:port of the suite's gRPC; an empty text unsets it.
    namespace
        Namespace to work in; an empty text unsets it.
    output_format
        How commands write to standard output.
    """

    def work() -> int:
        found = read_profiles()
        given = {"address": address, "namespace": namespace, "output": output_format}
        changed: dict[str, Any] = {
            field: value for field, value in given.items() if value is not None
        }
        found.named[name] = replace(found.named.get(name, Profile()), **changed)
        output.line(f"profile {name} is in {write_profiles(found)}")
        return exit_codes.DONE

    return guarded(common, work)


def use_profile(name: ProfileName = "", /, *, common: Base = BASE) -> int:
    """Use a profile from now on where no --profile and no FLOWMESH_PROFILE names another one.

    Parameters
    ----------
    name
        Name of the profile; without one none is used.
    """

    def work() -> int:
        found = read_profiles()
        if name:
            found.named_or_refused(name)
        found.current = name
        write_profiles(found)
        output.line(f"profile {name} is in use" if name else "no profile is in use")
        return exit_codes.DONE

    return guarded(common, work)


def delete_profile(name: ProfileName, /, *, common: Base = BASE) -> int:
    """Delete a profile.

    Parameters
    ----------
    name
        Name of the profile.
    """

    def work() -> int:
        found = read_profiles()
        found.named_or_refused(name)
        del found.named[name]
        if found.current == name:
            found.current = ""
        write_profiles(found)
        output.line(f"profile {name} is deleted")
        return exit_codes.DONE

    return guarded(common, work)
