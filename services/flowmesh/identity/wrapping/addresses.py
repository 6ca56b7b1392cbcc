"""Addresses of wrapping keys, as the settings write them.

file:/etc/flowmesh/kek.key
vault+https://vault:8200/transit/flowmesh?token_file=/run/token&sslrootcert=/etc/ca.pem
aws-kms://eu-central-1/alias/flowmesh?credentials_file=/etc/flowmesh/aws
"""

import re
import ssl
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from flowmesh.access.keys import KeyFileError, read_key_file
from flowmesh.egress import OPEN, Egress, Pool, RequestInvalid, check_server
from flowmesh.identity.wrapping.aws import AwsKey
from flowmesh.identity.wrapping.keys import FileKey, WrappingKey
from flowmesh.identity.wrapping.vault import VaultKey

CALLS_MAX: Final = 16
_VAULT = ("vault+https", "vault+http")
_AWS = "aws-kms"
_PARAMETERS: Final = {
    **dict.fromkeys(_VAULT, frozenset({"token_file", "sslrootcert", "namespace"})),
    _AWS: frozenset({"credentials_file", "endpoint", "sslrootcert"}),
}
_PATH = re.compile(r"/[A-Za-z0-9._/-]+/[A-Za-z0-9._-]+")
_REGION = re.compile(r"[a-z0-9-]{1,40}")
_AWS_KEY = re.compile(r"[A-Za-z0-9:/_-]{1,2048}")


class AddressInvalid(ValueError):
    """The address of a wrapping key is malformed, or a file of it cannot be read."""


async def open_key(address: str, stack: AsyncExitStack) -> WrappingKey:
    """Return the key of an address; `stack` closes its connections. Raises AddressInvalid."""
    if address.startswith("file:"):
        try:
            return FileKey.named(read_key_file(_file(address.removeprefix("file:"))).wrapping)
        except KeyFileError as error:
            raise AddressInvalid(str(error)) from error
    try:
        parts = urlsplit(address)
        given = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    except ValueError:
        raise _wrong("it cannot be parsed") from None
    known = _PARAMETERS.get(parts.scheme)
    if known is None:
        raise _wrong("it begins with none of file:, vault+https:// and aws-kms://")
    if unknown := sorted(given.keys() - known):
        raise _wrong(f"it has no parameter {unknown[0]!r}; there are {', '.join(sorted(known))}")
    # The address is the operator's own, so it may be an internal one.
    tls = _context(given.get("sslrootcert", ""))
    egress = await stack.enter_async_context(Egress(OPEN, pool=Pool.of_calls(CALLS_MAX), tls=tls))
    return (_aws if parts.scheme == _AWS else _vault)(egress, parts, given)


def _vault(egress: Egress, parts: SplitResult, given: dict[str, str]) -> VaultKey:
    url = f"{parts.scheme.removeprefix('vault+')}://{parts.netloc}"
    _check_server(url)
    if not _PATH.fullmatch(parts.path):
        raise _wrong("its path is not /MOUNT/KEY, such as /transit/flowmesh")
    if "token_file" not in given:
        raise _wrong("a key of Vault needs token_file")
    mount, _, key = parts.path.strip("/").rpartition("/")
    return VaultKey(
        egress,
        url=url,
        mount=mount,
        key=key,
        namespace=given.get("namespace", ""),
        token_file=_file(given["token_file"]),
    )


def _aws(egress: Egress, parts: SplitResult, given: dict[str, str]) -> AwsKey:
    region, key = parts.netloc, unquote(parts.path).strip("/")
    if not _REGION.fullmatch(region) or not _AWS_KEY.fullmatch(key):
        raise _wrong("it is not aws-kms://REGION/KEY, with the id, ARN or alias/NAME of a key")
    endpoint = given.get("endpoint", "").rstrip("/")
    if endpoint:
        _check_server(endpoint)
    file = given.get("credentials_file", "")
    if file and not _file(file).is_file():
        raise _wrong(f"there is no credentials_file {file}")
    return AwsKey(egress, region=region, key=key, endpoint=endpoint, credentials_file=file)


def _file(path: str) -> Path:
    """Return an absolute path: processes have other working folders."""
    if not path.startswith("/"):
        raise _wrong(f"{path!r} is no absolute path")
    return Path(path)


def _check_server(url: str) -> None:
    try:
        check_server(url)
    except RequestInvalid as error:
        raise _wrong(str(error)) from error


def _context(authorities: str) -> ssl.SSLContext | None:
    if not authorities:
        return None
    try:
        return ssl.create_default_context(cafile=authorities)
    except (OSError, ssl.SSLError) as error:
        raise _wrong(f"its sslrootcert cannot be read: {error}") from error


def _wrong(text: str) -> AddressInvalid:
    return AddressInvalid(f"the address of a wrapping key is invalid: {text}")
