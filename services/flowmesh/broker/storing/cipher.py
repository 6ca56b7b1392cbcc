"""Encryption of bodies at rest, with a key of the installation or of the project."""

from typing import Final

from flowmesh.access.encryption import NO_KEYS, DataKeys
from flowmesh.access.sealing import SealBroken, Sealer
from flowmesh.api.broker.v1 import message_pb2 as pb
from flowmesh.errors import WrongState

# The first byte of an encrypted body names the key. The keys of an encrypted project seal all its
# messages: those that asked for encryption, and the others.
OPEN_KEY: Final = 0
INSTALLATION_KEY: Final = 1
PROJECT_KEY: Final = 2
PROJECT_KEY_UNASKED: Final = 3


class BodyCipher:
    """Encrypts bodies with AES-256-GCM, each bound to its namespace and message id."""

    def __init__(
        self, *, open_key: bytes, installation_key: bytes | None, keys: DataKeys = NO_KEYS
    ) -> None:
        self._keys = keys
        self._sealers = {OPEN_KEY: Sealer(open_key)}
        self._current = OPEN_KEY
        if installation_key is not None:
            self._sealers[INSTALLATION_KEY] = Sealer(installation_key)
            self._current = INSTALLATION_KEY

    async def until_known(self) -> None:
        """Return when the keys of encrypted projects are known."""
        await self._keys.known.wait()

    async def stored(self, namespace: str, message: pb.Message, *, encrypt: bool) -> pb.Message:
        """Return the message as it is stored: with its body encrypted if its project requires it,
        or if `encrypt` asks for it.
        """
        await self.until_known()
        place = _place(namespace, message)
        if self._keys.covers(namespace):
            key = PROJECT_KEY if encrypt else PROJECT_KEY_UNASKED
            body = self._keys.seal(namespace, message.body, place)
        elif encrypt:
            key, body = self._current, self._sealers[self._current].seal(message.body, place)
        else:
            return message
        stored = pb.Message()
        stored.CopyFrom(message)
        stored.body, stored.encrypted = bytes((key,)) + body, True
        return stored

    def opened(self, namespace: str, data: bytes) -> pb.Message:
        """Parse a stored message and decrypt its body. Raises WrongState without its key."""
        message = pb.Message.FromString(data)
        if not message.encrypted:
            return message
        key, body, place = message.body[:1], message.body[1:], _place(namespace, message)
        if key and key[0] in (PROJECT_KEY, PROJECT_KEY_UNASKED):
            message.body = self._keys.open(body, place)
            message.encrypted = key[0] == PROJECT_KEY
            return message
        sealer = self._sealers.get(key[0]) if key else None
        try:
            if sealer is None:
                raise SealBroken("its key is missing")
            message.body = sealer.open(body, place)
        except SealBroken as error:
            text = f"message {message.message_id!r} was encrypted with a key that is not here"
            raise WrongState("MESSAGE_SEALED", text) from error
        return message


def _place(namespace: str, message: pb.Message) -> str:
    return f"{namespace}\n{message.message_id}"
