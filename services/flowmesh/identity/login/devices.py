"""Logins of programs that have no browser (RFC 8628): a user approves the code that one shows.

The device keeps a sealed code from which that of the user is derived, so nothing is stored before
a user approves.
"""

import base64
import hashlib
import hmac
import secrets

import msgspec

from flowmesh.access.sealing import SealBroken, Sealer
from flowmesh.errors import Forbidden, Invalid, WrongState
from flowmesh.identity.accounts import Accounts, TokenPair
from flowmesh.identity.credentials import one_time
from flowmesh.identity.limits import LOGIN_S
from flowmesh.identity.openid.errors import LoginRefused
from flowmesh.identity.permissions import caller
from flowmesh.identity.storage.logins import LoginStore
from flowmesh.identity.storage.records import User
from flowmesh.identity.storage.sessions import Opening
from flowmesh.runtime import Clock

_PLACE = "login of a device"
# Without vowels and look-alikes; eight of them are 34 bits.
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_CODE_LETTERS = 8


class _Device(msgspec.Struct):
    """A login that a device began."""

    nonce: str
    begun_us: int


class Devices:
    """Starts, approves and completes logins of devices."""

    def __init__(
        self,
        *,
        store: LoginStore,
        accounts: Accounts,
        sealer: Sealer,
        pepper: bytes,
        clock: Clock,
    ) -> None:
        self._store, self._accounts = store, accounts
        self._sealer, self._pepper = sealer, pepper
        self._clock = clock

    def start(self) -> tuple[str, str, int]:
        """Return the code of a device, that of its user, and their end."""
        device = _Device(secrets.token_urlsafe(16), self._clock.now_us())
        sealed = self._sealer.seal(msgspec.json.encode(device), _PLACE)
        code = base64.urlsafe_b64encode(sealed).decode()
        return code, self._user_code(device), device.begun_us + LOGIN_S * 1_000_000

    async def approve(self, user_code: str) -> None:
        """Let the device with a code log in as the caller."""
        principal = caller()
        if principal.kind != "user":
            raise Forbidden("ROLE_REQUIRED", "only users let devices log in")
        code = "".join(letter for letter in user_code.upper() if letter.isalpha())
        if len(code) != _CODE_LETTERS or not set(code) <= set(_LETTERS):
            text = f"the code is not of {_CODE_LETTERS} letters as the device shows them"
            raise Invalid("REQUEST_INVALID", text)
        await self._store.approve_device(code, principal.id, principal.session)

    async def complete(self, device_code: str, address: str) -> tuple[User, TokenPair]:
        """Open the session of an approved device. Raise LOGIN_PENDING and LOGIN_REFUSED."""
        device = self._opened(device_code)
        login = one_time.digest(device_code)
        if await self._store.is_used(login):
            await self._accounts.end_replayed(login)
        approved = await self._store.take_device(self._user_code(device).replace("-", ""))
        if approved is None:
            raise WrongState("LOGIN_PENDING", "the code of the device is not approved yet")
        if not await self._store.use(login, 2 * LOGIN_S):
            await self._accounts.end_replayed(login)
        user = await self._store.users.user(approved.user_id)
        if user is None or user.disabled:
            raise LoginRefused("the user is disabled")
        await self._store.users.note_login(user.id)
        opening = Opening(address=address, parent=approved.parent, login=login)
        return user, await self._accounts.opened(user.id, opening)

    def _opened(self, device_code: str) -> _Device:
        try:
            sealed = base64.urlsafe_b64decode(device_code)
            device = msgspec.json.decode(self._sealer.open(sealed, _PLACE), type=_Device)
        except (SealBroken, ValueError):
            raise LoginRefused("the code of the device is unknown; begin again") from None
        if self._clock.now_us() - device.begun_us > LOGIN_S * 1_000_000:
            raise LoginRefused("the code of the device is older than ten minutes; begin again")
        return device

    def _user_code(self, device: _Device) -> str:
        made = hmac.new(self._pepper, f"device {device.nonce}".encode(), hashlib.sha256).digest()
        number = int.from_bytes(made[:16])
        letters = ""
        for _ in range(_CODE_LETTERS):
            number, place = divmod(number, len(_LETTERS))
            letters += _LETTERS[place]
        return f"{letters[:4]}-{letters[4:]}"
