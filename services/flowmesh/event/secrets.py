"""Secrets of callbacks, their keys and URLs, and those that verify the calls of webhooks.

A text `secret://name` of a definition is read when it is used, and kept by nothing.
"""

from typing import TYPE_CHECKING

from flowmesh.access import acting_as
from flowmesh.api.identity.v1.secret_service_pb2 import ResolveSecretsRequest, SecretRef
from flowmesh.errors import FlowmeshError, Overloaded, Timeout, Unavailable, WrongState
from flowmesh.expressions.secrets import SCHEME, is_secret_reference, split_key

if TYPE_CHECKING:
    from flowmesh.api.identity.v1.secret_service_pb2_grpc import SecretServiceAsyncStub

TRANSIENT = (Unavailable, Overloaded, Timeout)


class EventSecrets:
    """Reads the secrets of callbacks and webhooks."""

    def __init__(self, calls: "SecretServiceAsyncStub") -> None:
        self._calls = calls

    async def text(self, namespace: str, given: str) -> str:
        """Return the value of a reference; another text is the secret itself.

        Raise WEBHOOK_SECRET_MISSING for a reference to a secret that cannot be read.
        """
        if not is_secret_reference(given):
            return given
        name, version = split_key(given.removeprefix(SCHEME))
        request = ResolveSecretsRequest(
            namespace=namespace, refs=[SecretRef(name=name, version=version)]
        )
        try:
            with acting_as(None):
                return (await self._calls.ResolveSecrets(request)).values[0].decode()
        except TRANSIENT:
            raise
        except (FlowmeshError, UnicodeDecodeError):
            text = f"the secret {name!r} is not stored, or cannot be read"
            raise WrongState("WEBHOOK_SECRET_MISSING", text) from None
