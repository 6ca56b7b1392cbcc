"""Signing secrets of subscriptions at rest: sealed by the key of a closed installation."""

import base64
import binascii
from typing import Final

from flowmesh.access.sealing import SealBroken, Sealer
from flowmesh.errors import WrongState
from flowmesh.event.notifications.store import NotificationStore

# A secret without it is plain: that of an open installation, which has no key.
SEALED: Final = "sealed:"


class SigningSecrets:
    """Seals and opens signing secrets, each bound to the name of its subscription."""

    def __init__(self, key: bytes | None) -> None:
        self._sealer = Sealer(key) if key is not None else None

    def sealed(self, namespace: str, name: str, secret: str) -> str:
        """Return the stored form of a secret; in an open installation, the secret itself."""
        if self._sealer is None or not secret or secret.startswith(SEALED):
            return secret
        value = self._sealer.seal(secret.encode(), _place(namespace, name))
        return f"{SEALED}{base64.b64encode(value).decode()}"

    def opened(self, namespace: str, name: str, stored: str) -> str:
        """Return a stored secret. Raises WrongState if it was sealed with another key."""
        if not stored.startswith(SEALED):
            return stored
        try:
            if self._sealer is None:
                raise SealBroken("its key is missing")
            value = base64.b64decode(stored.removeprefix(SEALED), validate=True)
            return self._sealer.open(value, _place(namespace, name)).decode()
        except (SealBroken, binascii.Error) as error:
            text = f"the secret of subscription {name!r} was sealed with a key that is not here"
            raise WrongState("WEBHOOK_SECRET_MISSING", text) from error

    async def seal_plain(self, store: NotificationStore) -> int:
        """Seal the secrets that were stored before the installation had its key."""
        if self._sealer is None:
            return 0
        return await store.seal_secrets(SEALED, self.sealed)


def _place(namespace: str, name: str) -> str:
    return f"subscription\n{namespace}\n{name}"
