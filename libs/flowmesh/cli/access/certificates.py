"""`flowmesh certs`: the certificate authority of an installation and what it issues."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from flowmesh.cli import exit_codes, output
from flowmesh.cli.common import Written, command
from flowmesh.cli.refusals import Refused
from flowmesh.extras import needed_by

if TYPE_CHECKING:
    from flowmesh.certificates import Certificate

QUIET = Written()
FOLDER = Path(".flowmesh/certs")
LIFE_HOURS = 24
LIFE_HOURS_MAX = 24 * 365

Folder = Annotated[Path, Parameter(name="--dir")]
Hosts = Annotated[list[str] | None, Parameter(name="--host", negative="")]
Hours = Annotated[int, Parameter(validator=Number(gte=1, lte=LIFE_HOURS_MAX))]
Flag = Annotated[bool, Parameter(negative="")]


@command
def init(*, folder: Folder = FOLDER, cluster: str = "default", common: Written = QUIET) -> None:
    """Create a certificate authority: `ca.pem`, and `ca-key.pem` for its owner only.

    Args:
        folder: Folder of the authority; the certificates that it issues are folders in it.
        cluster: Name of the installation, which the names of its services begin with.
    """

    with _refusals():
        from flowmesh.certificates import Authority

        authority = Authority.create(folder, cluster)
        if common.structured:
            document = {"folder": str(folder), "cluster": authority.cluster}
            output.document(document)
            return
        rows = [("authority", str(folder / "ca.pem")), ("key", str(folder / "ca-key.pem"))]
        output.columns(("", ""), [*rows, ("cluster", authority.cluster)])


@command
def issue(
    kind: Literal["service", "server", "client"],
    *,
    name: str,
    host: Hosts = None,
    hours: Hours = LIFE_HOURS,
    folder: Folder = FOLDER,
    to: str = "",
    common: Written = QUIET,
) -> int:
    """Issue a certificate, in place of an older one of the same folder.

    Args:
        kind: service: a process of the suite, which serves and calls others. server: serves under
            its hosts, as the public ports of a gateway. client: calls only.
        name: Name of the service, server or client.
        host: DNS name or IP address that it is reached at; may be repeated. Services and servers
            need one.
        hours: Life of the certificate.
        folder: Folder of the authority.
        to: Name of the new folder in it; the name of the certificate by default.
    """

    with _refusals():
        from flowmesh.certificates import Authority, Request, issue

        if kind != "client" and not host:
            raise Refused(f"a {kind} needs a host", "name one with --host", exit_codes.USAGE)
        if to and Path(to).name != to:
            text = f"{to!r} is not the name of a folder"
            raise Refused(text, "give a name without a path", exit_codes.USAGE)
        request = Request(kind, name, tuple(host or ()), timedelta(hours=hours))
        place = folder / (to or name)
        files = issue(Authority.open(folder), request, place)
        return _print_all(common, [(place, files.read())])


@command
def renew(*, folder: Folder = FOLDER, force: Flag = False, common: Written = QUIET) -> int:
    """Renew the certificates of an authority of whose life half is over.

    Args:
        folder: Folder of the authority.
        force: Renew all of them now.
    """

    with _refusals():
        from flowmesh.certificates import Authority, CertificateFiles, issued, renew

        authority = Authority.open(folder)
        done = [place for place in issued(folder) if renew(authority, place, force=force)]
        found = [(place, CertificateFiles.in_folder(place).read()) for place in done]
        if not found and not common.structured:
            output.line("No certificate is due.")
            return exit_codes.DONE
        return _print_all(common, found)


@command
def show(*, folder: Folder = FOLDER, common: Written = QUIET) -> int:
    """Show the certificates of an authority.

    Args:
        folder: Folder of the authority, or of one certificate.
    """

    with _refusals():
        from flowmesh.certificates import CertificateFiles, issued

        places = issued(folder) or [folder]
        found = [(place, CertificateFiles.in_folder(place).read()) for place in places]
        return _print_all(common, found)


@contextmanager
def _refusals() -> Iterator[None]:
    """Inside the block, problems of certificates are refusals."""
    with needed_by("`flowmesh certs`", "server"):
        from flowmesh.certificates import CertificateError

        try:
            yield
        except CertificateError as error:
            raise Refused(str(error), "", exit_codes.FAILED) from error


def _print_all(common: Written, found: "list[tuple[Path, Certificate]]") -> int:
    if common.structured:
        output.document({"certificates": [_document(*each) for each in found]})
        return exit_codes.DONE
    rows = [
        (str(place), f"{found.expires:%Y-%m-%d %H:%M}Z", _state(found), ", ".join(found.names))
        for place, found in found
    ]
    output.columns(("FOLDER", "EXPIRES", "STATE", "NAMES"), rows)
    return exit_codes.DONE


def _document(place: Path, found: "Certificate") -> dict[str, Any]:
    return {
        "folder": str(place),
        "names": found.names,
        "expires": found.expires.isoformat(),
        "renewal": found.renewal.isoformat(),
        "state": _state(found),
    }


def _state(found: "Certificate") -> str:
    now = output.now()
    if now >= found.expires:
        return "expired"
    return "due" if found.is_due(now) else "valid"
