"""The one place that decides whether a call is served.

A call from outside the process is authenticated first. Then the rule of its method is checked
against the caller's permissions, in the process that serves the method, for every message.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

from google.protobuf.message import Message

from flowmesh.access.authenticator import NO_PEER, Authenticator, Metadata, Peer
from flowmesh.access.principal import DEFAULT_NAMESPACE, Principal, current, enter_principal
from flowmesh.access.refusals import Refusals
from flowmesh.access.rules import Rule
from flowmesh.errors import Unauthenticated
from flowmesh.views.masking import holds_sensitive, masked_message

M = TypeVar("M", bound=Message)


class Authorization:
    """Admits calls of a process, and ends streams whose caller is revoked or whose credential ends.

    `clock` is the time of the day.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        refusals: Refusals,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._authenticator = authenticator
        self.refusals = refusals
        # The tasks that serve streams, by the ids of their principal and session.
        self._streams: dict[str, set[asyncio.Task[Any]]] = {}
        self._ended: set[asyncio.Task[Any]] = set()
        # The ends of streams that are planned.
        self._endings: dict[asyncio.Task[Any], list[asyncio.TimerHandle]] = {}
        self._clock = clock

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

    def shown(self, rule: Rule, request: Any, response: M, address: Callable[[], str]) -> M:
        """Return what the caller may see of a response: sensitive members are masked.

        A caller that sees them is recorded in the audit log; if that is full, it sees none.
        """
        principal = current()
        if (principal is None and not rule.is_public) or not holds_sensitive(response):
            return response
        if principal is None or not rule.reveals(principal, request):
            return masked_message(response)
        namespace = str(getattr(request, "namespace", "")) or principal.home or DEFAULT_NAMESPACE
        target = str(getattr(request, "execution_id", ""))
        recorded = self.refusals.note_reveal(rule.method, namespace, target, address)
        return response if recorded else masked_message(response)

    def revocable(self) -> AbstractContextManager[None]:
        """Inside the block, this task ends with Unauthenticated when its principal is revoked or
        its credential ends.
        """
        principal = current()
        return nullcontext() if principal is None else self._watching(principal)

    def revoke(self, ids: Iterable[str]) -> None:
        """End the streams of principals and sessions; of all if there are no ids."""
        gone = list(ids)
        self._authenticator.revoke(gone)
        for each in gone or list(self._streams):
            for task in self._streams.get(each, ()):
                self._end(task)

    def revoke_at(self, ids: Iterable[str], ends_us: int) -> None:
        """Ask again for principals and sessions, and end their present streams at a time."""
        gone = list(ids)
        self._authenticator.revoke(gone)
        for each in gone:
            for task in self._streams.get(each, ()):
                self._end_at(task, ends_us)

    def _end(self, task: asyncio.Task[Any]) -> None:
        if not task.done():
            self._ended.add(task)
            task.cancel()

    def _end_at(self, task: asyncio.Task[Any], ends_us: int) -> None:
        """End the stream of a task at a time, if it is still there then."""
        left_s = max(0.0, ends_us / 1_000_000 - self._clock())
        ending = asyncio.get_running_loop().call_later(left_s, self._end, task)
        self._endings.setdefault(task, []).append(ending)

    @contextmanager
    def _watching(self, principal: Principal) -> Iterator[None]:
        task = asyncio.current_task()
        assert task is not None
        for each in principal.ids:
            self._streams.setdefault(each, set()).add(task)
        if principal.expires_us:
            self._end_at(task, principal.expires_us)
        try:
            yield
        except asyncio.CancelledError:
            if task not in self._ended:
                raise
            task.uncancel()
            raise Unauthenticated(
                "CREDENTIALS_REVOKED", "the credential was revoked or has ended"
            ) from None
        finally:
            self._ended.discard(task)
            for ending in self._endings.pop(task, ()):
                ending.cancel()
            for each in principal.ids:
                tasks = self._streams[each]
                tasks.discard(task)
                if not tasks:
                    del self._streams[each]


def _known(principal: Principal | None) -> Principal:
    assert principal is not None
    return principal
