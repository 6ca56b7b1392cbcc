"""The authority of an installation, what it issues, and the files of certificates."""

import shutil
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID as Use

from flowmesh.certificates import (
    Authority,
    CertificateError,
    CertificateFiles,
    Request,
    ServiceName,
    Watched,
    issue,
    issued,
    renew,
    renew_own,
    service_of,
)

# Half of its life is over at once: certificates begin five minutes in the past.
DUE = timedelta(minutes=1)
HOSTS = ("localhost", "127.0.0.1", "::1", "*.example.com")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "certs", "shop")


def uses(leaf: x509.Certificate) -> set[object]:
    return set(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


@pytest.mark.parametrize(
    ("kind", "first", "purposes"),
    [
        ("service", "spiffe://flowmesh/shop/a", {Use.SERVER_AUTH, Use.CLIENT_AUTH}),
        ("server", "localhost", {Use.SERVER_AUTH}),
        ("client", "spiffe://flowmesh/shop/client/a", {Use.CLIENT_AUTH}),
    ],
)
def test_a_certificate_has_the_names_and_uses_of_its_kind(
    authority: Authority, tmp_path: Path, kind: str, first: str, purposes: set[object]
) -> None:
    """Signed by the authority, no authority itself, and valid for a day."""
    made = authority.issue(Request(kind, "a", HOSTS))  # type: ignore[arg-type]
    assert made.names[0] == first
    assert made.names[-4:] == list(HOSTS)
    assert uses(made.leaf) == purposes
    (root,) = x509.load_pem_x509_certificates((tmp_path / "certs/ca.pem").read_bytes())
    made.leaf.verify_directly_issued_by(root)
    constraints = made.leaf.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert not constraints.value.ca
    life = made.expires - made.leaf.not_valid_before_utc
    assert timedelta(hours=24) <= life < timedelta(hours=25)


def test_keys_are_readable_by_their_owner_only(authority: Authority, tmp_path: Path) -> None:
    """Also that of the authority; a key that others can read is refused."""
    files = issue(authority, Request("service", "a", HOSTS), tmp_path / "certs/a")
    for path in (files.key, tmp_path / "certs/ca-key.pem"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    files.key.chmod(0o640)
    with pytest.raises(CertificateError, match="chmod 600"):
        files.read()


@pytest.mark.parametrize(
    ("name", "hosts", "problem"),
    [
        ("a/b", ("localhost",), "not the name of a service"),
        ("A", ("localhost",), "not the name of a service"),
        ("", ("localhost",), "not the name of a service"),
        ("a", ("spiffe://flowmesh/shop/b",), "neither a DNS name nor an IP address"),
        ("a", ("",), "neither a DNS name nor an IP address"),
        ("a", ("x" * 64,), "neither a DNS name nor an IP address"),
        ("a", tuple(f"h{n}" for n in range(65)), "at most 64 hosts"),
    ],
)
def test_names_that_are_none_are_refused(
    authority: Authority, tmp_path: Path, name: str, hosts: tuple[str, ...], problem: str
) -> None:
    """The message states what is wrong, and nothing is written."""
    with pytest.raises(CertificateError, match=problem):
        issue(authority, Request("service", name, hosts), tmp_path / "certs/x")
    assert not (tmp_path / "certs/x").exists()


def test_a_client_is_no_service() -> None:
    """One URI with exactly cluster and service is the name of a service, anything else is not."""
    for uris, service in (
        ([b"spiffe://flowmesh/shop/a"], "a"),
        ([b"spiffe://flowmesh/shop/client/a"], None),
        ([b"spiffe://flowmesh/shop/a", b"spiffe://flowmesh/shop/b"], None),
        ([b"spiffe://other/shop/a"], None),
        ([b"spiffe://flowmesh/shop"], None),
        ([b"\xff"], None),
        ([], None),
    ):
        found = service_of({"peer_uri": uris})
        assert found == (ServiceName("shop", service) if service else None), uris


def test_a_renewed_certificate_keeps_names_uses_and_life(authority: Authority) -> None:
    """Its key is another one."""
    old = authority.issue(Request("server", "a", HOSTS, timedelta(hours=7)))
    new = authority.renewed(old)
    assert new.names == old.names
    assert uses(new.leaf) == uses(old.leaf)
    assert new.key != old.key
    assert new.leaf.serial_number != old.leaf.serial_number
    lives = [each.expires - each.leaf.not_valid_before_utc for each in (old, new)]
    assert lives[0] == lives[1]


def test_only_the_issuer_renews(authority: Authority, tmp_path: Path) -> None:
    """Another authority refuses, although it has the same name."""
    other = Authority.create(tmp_path / "other", "shop")
    with pytest.raises(CertificateError, match="not issued by this authority"):
        other.renewed(authority.issue(Request("service", "a", HOSTS)))


def test_certificates_are_renewed_at_half_of_their_life(
    authority: Authority, tmp_path: Path
) -> None:
    """Not before, unless forced; all of an authority are found by their folders."""
    fresh, due = tmp_path / "certs/fresh", tmp_path / "certs/due"
    issue(authority, Request("service", "a", HOSTS), fresh)
    issue(authority, Request("service", "b", HOSTS, DUE), due)
    assert issued(tmp_path / "certs") == [due, fresh]
    assert [renew(authority, place) for place in (fresh, due)] == [False, True]
    assert renew(authority, fresh, force=True)


def test_a_process_renews_its_own_certificate_beside_its_authority(
    authority: Authority, tmp_path: Path
) -> None:
    """Elsewhere it does not, and leaves the files as they are."""
    files = issue(authority, Request("service", "a", HOSTS, DUE), tmp_path / "certs/a")
    elsewhere = tmp_path / "elsewhere" / "a"
    shutil.copytree(tmp_path / "certs/a", elsewhere)
    before = files.read().leaf
    assert renew_own(files)
    assert files.read().leaf != before
    assert not renew_own(CertificateFiles.in_folder(elsewhere))
    assert CertificateFiles.in_folder(elsewhere).read().leaf == before


def test_files_that_do_not_fit_leave_the_present_certificate(
    authority: Authority, tmp_path: Path
) -> None:
    """A half-written pair is refused, and read again when it is complete."""
    files = issue(authority, Request("service", "a", HOSTS), tmp_path / "certs/a")
    watched = Watched(files)
    assert not watched.refresh()
    present, new = watched.now, authority.issue(Request("service", "a", HOSTS))
    files.key.write_bytes(new.key)
    with pytest.raises(CertificateError, match="is not the key of"):
        watched.refresh()
    assert (watched.now, watched.generation) == (present, 1)
    files.certificate.write_bytes(new.chain)
    assert watched.refresh()
    assert (watched.now.leaf, watched.generation) == (new.leaf, 2)


@pytest.mark.parametrize("name", ["cert.pem", "key.pem", "ca.pem"])
@pytest.mark.parametrize("content", [None, b"", b"no PEM", b"x" * 2_000_000])
def test_broken_files_are_named(
    authority: Authority, tmp_path: Path, name: str, content: bytes | None
) -> None:
    """Missing, empty, malformed, too large."""
    files = issue(authority, Request("service", "a", HOSTS), tmp_path / "certs/a")
    path = tmp_path / "certs/a" / name
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(CertificateError, match=name):
        files.read()


def test_an_authority_is_created_once(authority: Authority, tmp_path: Path) -> None:
    """A second one in the same folder would make all certificates void."""
    with pytest.raises(CertificateError, match="has an authority"):
        Authority.create(tmp_path / "certs")
    assert Authority.open(tmp_path / "certs").cluster == "shop"
    with pytest.raises(CertificateError, match="flowmesh certs init"):
        Authority.open(tmp_path)
