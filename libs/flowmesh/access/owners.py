"""Owners: systems outside, such as a cluster, that manage what is stored here."""

from dataclasses import dataclass
from typing import Final, Protocol

from flowmesh.errors import Invalid, Violation, WrongState

NAME_CHARACTERS_MAX: Final = 1_024


class Owned(Protocol):
    """A request that may name an owner."""

    @property
    def owner(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner that a change names, empty for none; `take_over` takes from another one."""

    name: str = ""
    take_over: bool = False

    def check(self, title: str, present: str) -> None:
        """Raise OWNED_ELSEWHERE if another system manages what a change is of."""
        if present not in ("", self.name) and not self.take_over:
            text = f"{title} is managed by {present}; change it there, or take it over"
            raise WrongState("OWNED_ELSEWHERE", text)


NO_OWNER: Final = Owner()


def owner_of(request: Owned) -> Owner:
    """Return the owner of a request. Raises REQUEST_INVALID for a name that is none."""
    name = request.owner
    if len(name) > NAME_CHARACTERS_MAX or not name.isprintable():
        text = f"owner is not at most {NAME_CHARACTERS_MAX} printable characters"
        problem = Violation("owner", text, "REQUEST_INVALID")
        raise Invalid("REQUEST_INVALID", text, violations=(problem,))
    return Owner(name, getattr(request, "take_over", False))
