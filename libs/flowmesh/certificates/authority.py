"""The certificate authority of an installation: one EC key that signs short-lived certificates."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from flowmesh.certificates import names
from flowmesh.certificates.errors import CertificateError
from flowmesh.certificates.files import (
    AUTHORITY,
    AUTHORITY_KEY,
    PRIVATE_MODE,
    PUBLIC_MODE,
    Certificate,
    loaded,
    read,
    read_private,
    write,
)

AUTHORITY_LIFE = timedelta(days=3_650)
LIFE = timedelta(hours=24)
# The clocks of machines differ.
BACKDATED = timedelta(minutes=5)
COMMON_NAME_CHARACTERS_MAX = 64

Kind = Literal["service", "server", "client"]
_USES = {
    "service": [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH],
    "server": [ExtendedKeyUsageOID.SERVER_AUTH],
    "client": [ExtendedKeyUsageOID.CLIENT_AUTH],
}


@dataclass(frozen=True, slots=True)
class Request:
    """A certificate to issue.

    A `service` of the suite serves and calls others; a `server` serves under its hosts only; a
    `client` only calls.
    """

    kind: Kind
    name: str
    hosts: tuple[str, ...] = ()
    life: timedelta = LIFE


class Authority:
    """A certificate and its key, which issue certificates."""

    def __init__(
        self,
        *,
        certificate: x509.Certificate,
        key: ec.EllipticCurvePrivateKey,
        bundle: bytes,
    ) -> None:
        self.cluster = _cluster(certificate)
        self._certificate = certificate
        self._key = key
        # The certificates that holders trust: this one, and others while one replaces another.
        self._bundle = bundle

    @classmethod
    def create(cls, folder: Path, cluster: str = "default") -> "Authority":
        """Write a new authority into a folder; raise CertificateError if it has one."""
        names.checked_slug("cluster", cluster)
        place = folder / AUTHORITY_KEY
        if place.exists() or (folder / AUTHORITY).exists():
            raise CertificateError(f"{folder} has an authority; remove it only if nothing uses it")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = cls.generate(cluster)
        write(place, made.key_pem, PRIVATE_MODE)
        write(folder / AUTHORITY, made.pem, PUBLIC_MODE)
        return cls.open(folder)

    @classmethod
    def generate(
        cls, cluster: str, life: timedelta = AUTHORITY_LIFE, *, now: datetime | None = None
    ) -> "Authority":
        """Return a new authority that is stored nowhere."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _self_signed(key, cluster, life, now or datetime.now(UTC))
        return cls(certificate=certificate, key=key, bundle=certificate.public_bytes(Encoding.PEM))

    @classmethod
    def of_pem(cls, bundle: bytes, key_pem: bytes) -> "Authority":
        """Return the authority whose certificate is the first of a bundle."""
        key = load_pem_private_key(key_pem, password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return cls(certificate=x509.load_pem_x509_certificates(bundle)[0], key=key, bundle=bundle)

    @property
    def pem(self) -> bytes:
        """The certificate of this authority."""
        return self._certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """Its private key."""
        return _private_pem(self._key)

    def issued(self, leaf: x509.Certificate) -> bool:
        """Return whether a certificate is of this authority."""
        try:
            leaf.verify_directly_issued_by(self._certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    @classmethod
    def open(cls, folder: Path) -> "Authority":
        """Return the authority of a folder."""
        place = folder / AUTHORITY_KEY
        if not place.exists():
            text = f"there is no authority in {folder}; make one with `flowmesh certs init`"
            raise CertificateError(text)
        try:
            key = load_pem_private_key(read_private(place), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            if isinstance(error, CertificateError):
                raise
            raise CertificateError(f"{place} holds no unencrypted private key") from error
        bundle = read(folder / AUTHORITY)
        found = loaded(folder / AUTHORITY, bundle)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise CertificateError(f"{place} holds no key of an elliptic curve")
        own = [each for each in found if each.public_key() == key.public_key()]
        if not own:
            raise CertificateError(f"{place} is not the key of {folder / AUTHORITY}")
        return cls(certificate=own[0], key=key, bundle=bundle)

    def issue(self, request: Request, *, now: datetime | None = None) -> Certificate:
        """Return a new certificate."""
        names.checked_slug(request.kind, request.name)
        san: list[x509.GeneralName] = names.host_names(request.hosts)
        if request.kind == "service":
            uri = str(names.ServiceName(self.cluster, request.name))
            san.insert(0, x509.UniformResourceIdentifier(uri))
        elif request.kind == "client":
            uri = names.client_uri(self.cluster, request.name)
            san.insert(0, x509.UniformResourceIdentifier(uri))
        if not san:
            raise CertificateError("a server needs a host: name one with --host")
        uses = x509.ExtendedKeyUsage(_USES[request.kind])
        return self._signed(
            request.name,
            x509.SubjectAlternativeName(san),
            uses,
            request.life + BACKDATED,
            now or datetime.now(UTC),
        )

    def renewed(self, old: Certificate) -> Certificate:
        """Return a certificate with another key, and the names and the life of an older one.

        Raises CertificateError for a certificate that this authority has not issued.
        """
        leaf = old.leaf
        try:
            leaf.verify_directly_issued_by(self._certificate)
            san = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound) as error:
            text = "the certificate was not issued by this authority; issue another one"
            raise CertificateError(text) from error
        name = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        life = leaf.not_valid_after_utc - leaf.not_valid_before_utc
        return self._signed(str(name), san, uses, life, datetime.now(UTC))

    def _signed(
        self,
        name: str,
        san: x509.SubjectAlternativeName,
        uses: x509.ExtendedKeyUsage,
        life: timedelta,
        now: datetime,
    ) -> Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        begins = now - BACKDATED
        public = self._certificate.public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        leaf = (
            x509.CertificateBuilder()
            .subject_name(_subject(name))
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(min(begins + life, self._certificate.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(digital_signature=True), critical=True)
            .add_extension(uses, critical=False)
            .add_extension(san, critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), False)
            .sign(self._key, SHA256())
        )
        return Certificate(leaf.public_bytes(Encoding.PEM), _private_pem(key), self._bundle, leaf)


def _self_signed(
    key: ec.EllipticCurvePrivateKey, cluster: str, life: timedelta, now: datetime
) -> x509.Certificate:
    subject = _subject(f"Flowmesh {cluster}")
    begins = now - BACKDATED
    uri = x509.UniformResourceIdentifier(names.cluster_uri(cluster))
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectAlternativeName([uri]), critical=False)
        .add_extension(identifier, critical=False)
        .sign(key, SHA256())
    )


def _subject(name: str) -> x509.Name:
    common = name[:COMMON_NAME_CHARACTERS_MAX]
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _key_usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _cluster(certificate: x509.Certificate) -> str:
    try:
        san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        san = x509.SubjectAlternativeName([])
    prefix = f"{names.TRUST_DOMAIN}/"
    for uri in san.get_values_for_type(x509.UniformResourceIdentifier):
        if uri.startswith(prefix):
            return names.checked_slug("cluster", uri.removeprefix(prefix))
    raise CertificateError("the authority names no cluster; make one with `flowmesh certs init`")


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
