"""The one place that decides whether a call is served.

A call from outside the process is authenticated first. Then the rule of its method is checked
against the caller's permissions, in the process that serves the method, for every message.
"""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from google.protobuf.message import Message

from flowmesh.access.authenticator import NO_PEER, Authenticator, Metadata, Peer
from flowmesh.access.principal import Principal, current, enter_principal
from flowmesh.access.refusals import Refusals
from flowmesh.access.rules import Rule
from flowmesh.errors import Unauthenticated


class Wall:
    """Admits calls of a process, and ends streams whose caller is revoked."""

    def __init__(self, authenticator: Authenticator, refusals: Refusals) -> None:
        self._authenticator = authenticator
        self.refusals = refusals
        # The tasks that serve streams, by the ids of their principal and session.
        self._streams: dict[str, set[asyncio.Task[Any]]] = {}
        self._ended: set[asyncio.Task[Any]] = set()

    async def admit(
        self,
        rule: Rule | None,
        metadata: Metadata | None,
        address: str,
        peer: Peer = lambda: NO_PEER,
    ) -> None:
        """Authenticate a call that came over a socket, and set its principal.

        Methods without a rule are not of this installation's contracts: health and reflection.
        """
        if rule is None or rule.is_public:
            audience = rule.service if rule else ""
            call = self._authenticator.service_call(metadata or (), audience, peer)
            enter_principal(None, forwarded=call is not None)
            return
        caller = await self._authenticator.caller(metadata or (), address, rule.service, peer)
        enter_principal(caller.principal, forwarded=bool(caller.service))
        if rule.is_for_services and not caller.service:
            rule.check(_known(caller.principal), None)

    def check(self, rule: Rule, request: Any, *, first: bool = True) -> None:
        """Raise Forbidden or NotFound if the principal of this call may not send the request."""
        principal = current()
        if principal is None or rule.is_for_services or rule.is_public:
            return
        rule.check(principal, request, first=first)
        if isinstance(request, Message):
            rule.attribute(principal, request)

    def revocable(self) -> AbstractContextManager[None]:
        """Inside the block, this task ends with Unauthenticated when its principal is revoked."""
        principal = current()
        return nullcontext() if principal is None else self._watching(principal)

    def revoke(self, ids: Iterable[str]) -> None:
        """End the streams of principals and sessions; of all if there are no ids."""
        gone = list(ids)
        self._authenticator.revoke(gone)
        for each in gone or list(self._streams):
            for task in self._streams.get(each, ()):
                self._ended.add(task)
                task.cancel()

    @contextmanager
    def _watching(self, principal: Principal) -> Iterator[None]:
        task = asyncio.current_task()
        assert task is not None
        ids = [each for each in (principal.id, principal.session) if each]
        for each in ids:
            self._streams.setdefault(each, set()).add(task)
        try:
            yield
        except asyncio.CancelledError:
            if task not in self._ended:
                raise
            task.uncancel()
            raise Unauthenticated("CREDENTIALS_REVOKED", "the credential was revoked") from None
        finally:
            self._ended.discard(task)
            for each in ids:
                tasks = self._streams[each]
                tasks.discard(task)
                if not tasks:
                    del self._streams[each]


def _known(principal: Principal | None) -> Principal:
    assert principal is not None
    return principal
