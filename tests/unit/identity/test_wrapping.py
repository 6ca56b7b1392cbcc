"""Addresses of wrapping keys that are refused, and how long opened data keys hold."""

from contextlib import AsyncExitStack

import pytest

from flowmesh.access.sealing import SealBroken
from flowmesh.errors import Unavailable
from flowmesh.identity.storage.records import Wrapped
from flowmesh.identity.wrapping.addresses import AddressInvalid, open_key
from flowmesh.identity.wrapping.keys import FileKey, WrappingFailed
from flowmesh.identity.wrapping.wrapping import Wrapping
from flowmesh.telemetry import Metrics

WRONG = {
    "http://vault/transit/key": "none of file:, vault",
    "vault+https://vault:8200/transit/key": "needs token_file",
    "vault+https://vault:8200/key?token_file=/t": "not /MOUNT/KEY",
    "vault+https://vault:8200/transit/key?token_file=t": "no absolute path",
    "vault+http://vault:8200/transit/key?token_file=/t": "of this machine only",
    "vault+https://me:pw@vault/transit/key?token_file=/t": "credentials are in files",
    "vault+https://vault/transit/key?token_file=/t&tokn=1": "no parameter 'tokn'",
    "vault+https://vault/transit/key?token_file=/t&sslrootcert=/none": "cannot be read",
    "aws-kms:///alias/x": "not aws-kms://REGION/KEY",
    "aws-kms://eu-central-1": "not aws-kms://REGION/KEY",
    "aws-kms://eu-central-1/alias/x?credentials_file=/none": "no credentials_file",
    "aws-kms://eu-central-1/alias/x?endpoint=http://kms": "of this machine only",
    "file:/none": "no key file",
}


@pytest.mark.parametrize("address", WRONG)
async def test_an_address_that_cannot_be_honoured_is_refused(address: str) -> None:
    """With what would be right, before anything is called."""
    async with AsyncExitStack() as stack:
        with pytest.raises(AddressInvalid, match=WRONG[address]):
            await open_key(address, stack)


class Away(FileKey):
    """A key that is away at will."""

    away = False

    async def wrap(self, secret: bytes, place: str) -> Wrapped:
        self._require()
        return await super().wrap(secret, place)

    async def unwrap(self, wrapped: Wrapped, place: str) -> bytes:
        self._require()
        return await super().unwrap(wrapped, place)

    def _require(self) -> None:
        if self.away:
            raise WrappingFailed("away")


async def test_opened_keys_hold_until_the_key_is_away_for_too_long() -> None:
    """Then none is used, and all are again when the key is back."""
    now_us = [1_000_000]
    key = Away(bytes(32), "k")
    wrapping = Wrapping(key, (), kept_s=10, now_us=lambda: now_us[0], metrics=Metrics())
    wrapped = await wrapping.wrap(b"secret", "here")
    with pytest.raises(SealBroken):
        await wrapping.unwrap(wrapped, "there")
    await wrapping.probe()
    key.away = True
    with pytest.raises(Unavailable, match="away"):
        await wrapping.probe()
    now_us[0] += 10_000_000
    assert await wrapping.unwrap(wrapped, "here") == b"secret"
    now_us[0] += 1
    with pytest.raises(Unavailable) as refused:
        await wrapping.unwrap(wrapped, "here")
    assert refused.value.reason == "WRAPPING_KEY_UNAVAILABLE"
    key.away = False
    await wrapping.probe()
    assert await wrapping.unwrap(wrapped, "here") == b"secret"


async def test_a_data_key_of_a_key_that_is_not_named_says_so() -> None:
    """The message names the key, for the setting of former ones."""
    wrapping = Wrapping(FileKey(bytes(32)), (), kept_s=10, now_us=lambda: 0, metrics=Metrics())
    with pytest.raises(Unavailable, match="wrapped by vault:transit/old#1, which the settings"):
        await wrapping.unwrap(Wrapped("vault:transit/old#1", b""), "here")
