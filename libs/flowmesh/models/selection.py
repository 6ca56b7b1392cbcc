"""The choice of a provider: those named in order, those that fail are left out for a while."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from flowmesh.errors import Invalid, Unavailable
from flowmesh.models.port import Conversation, Provider, ProviderFailed, Turn
from flowmesh.models.prices import Prices

# A provider is left out for this long after so many failures in a row.
FAILURES_MAX = 3
OPEN_MS = 30_000


@dataclass(slots=True)
class _Health:
    failures: int = 0
    closed_at_ms: float = 0.0
    class_: str = ""


@dataclass(slots=True)
class Chosen:
    """A turn, the provider that made it, and why those before it did not."""

    provider: Provider
    turn: Turn
    passed_over: list[str] = field(default_factory=list)


class NoAnswer(Unavailable):
    """No provider answered; `class_` is the failure of the last one."""

    def __init__(self, text: str, class_: str, retry_after_ms: float) -> None:
        super().__init__("SERVICE_UNAVAILABLE", text)
        self.class_ = class_
        self.retry_in_ms = max(0, int(retry_after_ms))


class Providers:
    """The providers of an installation, in the order of the settings, and their prices."""

    def __init__(
        self,
        providers: Sequence[Provider],
        monotonic_ms: Callable[[], float],
        prices: Prices | None = None,
        *,
        rules_after: bool = True,
    ) -> None:
        """`rules_after` has the provider without a model answer where all services failed."""
        self._providers = providers
        remote = [each for each in providers if each.remote]
        self._unnamed = providers if rules_after or not remote else remote
        self.prices = prices or Prices()
        self._monotonic_ms = monotonic_ms
        self._health = {each.name: _Health() for each in providers}

    def listed(self) -> list[tuple[Provider, str]]:
        """Return the providers, each with the reason why it is left out now."""
        return [(each, self._closed(each)) for each in self._providers]

    def check(self, name: str) -> None:
        """Raise Invalid for a provider that is unknown here."""
        if name and name not in self._health:
            known = ", ".join(self._health)
            raise Invalid("REQUEST_INVALID", f"there is no provider {name!r}; there are {known}")

    async def turn(
        self, conversation: Conversation, wanted: str = "", *, no_services: str = ""
    ) -> Chosen:
        """Return the turn of the first provider that answers. Raises NoAnswer.

        `no_services` is the reason for which no model service may be asked, if there is one.
        """
        passed_over: list[str] = []
        last = _Health()
        self.check(wanted)
        for provider in self._asked(wanted):
            last = self._health[provider.name]
            if reason := (provider.remote and no_services) or self._closed(provider):
                passed_over.append(f"{provider.name}: {reason}")
                continue
            try:
                turn = await provider.turn(conversation)
            except ProviderFailed as failure:
                self._failed(provider, failure)
                passed_over.append(f"{provider.name}: {failure.class_}: {failure}")
                continue
            self._health[provider.name] = _Health()
            return Chosen(provider, turn, passed_over)
        wait_ms = last.closed_at_ms - self._monotonic_ms()
        raise NoAnswer("; ".join(passed_over), last.class_, wait_ms)

    def model_of(self, wanted: str = "") -> str:
        """Return the model that is asked first; empty for an unknown provider."""
        return next((each.model for each in self._asked(wanted)), "")

    def services(self, wanted: str = "") -> list[Provider]:
        """Return the model services that a turn may ask now."""
        return [each for each in self._asked(wanted) if each.remote and not self._closed(each)]

    def _asked(self, wanted: str) -> Sequence[Provider]:
        if not wanted:
            return self._unnamed
        return [each for each in self._providers if each.name == wanted]

    def _closed(self, provider: Provider) -> str:
        health = self._health[provider.name]
        closed = self._monotonic_ms() < health.closed_at_ms
        return f"left out after {health.class_}" if closed else ""

    def _failed(self, provider: Provider, failure: ProviderFailed) -> None:
        health = self._health[provider.name]
        health.failures += 1
        wait_ms = failure.retry_after_ms
        if health.failures >= FAILURES_MAX:
            wait_ms = max(wait_ms, OPEN_MS)
        health.closed_at_ms = self._monotonic_ms() + wait_ms
        health.class_ = failure.class_
