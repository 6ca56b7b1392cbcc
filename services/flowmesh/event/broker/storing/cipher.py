"""Encryption of bodies at rest with a key of the installation."""

from typing import Final

from flowmesh.access.sealing import SealBroken, Sealer
from flowmesh.api.broker.v1 import message_pb2 as pb
from flowmesh.errors import WrongState

# The first byte of an encrypted body names the key.
OPEN_KEY: Final = 0
INSTALLATION_KEY: Final = 1


class BodyCipher:
    """Encrypts bodies with AES-256-GCM, each bound to its namespace and message id."""

    def __init__(self, *, open_key: bytes, installation_key: bytes | None) -> None:
        self._sealers = {OPEN_KEY: Sealer(open_key)}
        self._current = OPEN_KEY
        if installation_key is not None:
            self._sealers[INSTALLATION_KEY] = Sealer(installation_key)
            self._current = INSTALLATION_KEY

    def sealed(self, namespace: str, message: pb.Message) -> pb.Message:
        """Return a copy of the message with its body encrypted."""
        stored = pb.Message()
        stored.CopyFrom(message)
        sealer = self._sealers[self._current]
        body = sealer.seal(message.body, _place(namespace, message))
        stored.body, stored.encrypted = bytes((self._current,)) + body, True
        return stored

    def opened(self, namespace: str, data: bytes) -> pb.Message:
        """Parse a stored message and decrypt its body. Raises WrongState with another key."""
        message = pb.Message.FromString(data)
        if not message.encrypted:
            return message
        sealer = self._sealers.get(message.body[0]) if message.body else None
        try:
            if sealer is None:
                raise SealBroken("its key is missing")
            message.body = sealer.open(message.body[1:], _place(namespace, message))
        except SealBroken as error:
            text = f"message {message.message_id!r} was encrypted with a key that is not here"
            raise WrongState("MESSAGE_SEALED", text) from error
        return message


def _place(namespace: str, message: pb.Message) -> str:
    return f"{namespace}\n{message.message_id}"
