"""The rules of a provider: claims of a user become its email address, name and roles."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from flowmesh.access.roles import PERMISSIONS, Role
from flowmesh.contract.json_value import Json
from flowmesh.identity.emails import is_email
from flowmesh.identity.limits import NAME_CHARS_MAX
from flowmesh.identity.storage.records import Grant, Level, Provider

Claims = Mapping[str, Json]


class Rule(msgspec.Struct, frozen=True):
    """Gives a role on a level to users whose claim has a value; an empty claim matches all."""

    claim: str
    equals: str
    role: Role
    level: int
    level_id: str

    def matches(self, claims: Claims) -> bool:
        return not self.claim or self.equals in values_of(claims, self.claim)


@dataclass(frozen=True, slots=True)
class Profile:
    """A user as a provider describes it."""

    subject: str
    email: str
    name: str
    grants: tuple[Grant, ...]


def rules_of(provider: Provider) -> list[Rule]:
    return msgspec.json.decode(provider.rules, type=list[Rule])


def rules_text(rules: Iterable[Rule]) -> str:
    return msgspec.json.encode(list(rules)).decode()


def profile_of(provider: Provider, claims: Claims) -> Profile:
    """Return the user that claims describe.

    An email address that the provider has not verified may be that of another user: such users get
    an address that no one has.
    """
    subject = str(claims.get("sub", ""))
    email = str(claims.get("email", "")).strip().lower()
    if claims.get("email_verified") is not True or not is_email(email):
        digest = hashlib.sha256(f"{provider.issuer}\n{subject}".encode()).hexdigest()
        email = f"{digest[:16]}@{provider.id.replace('_', '-')}.invalid"
    name = str(claims.get("name") or claims.get("preferred_username") or "")
    return Profile(subject, email, name[:NAME_CHARS_MAX], grants_of(rules_of(provider), claims))


def grants_of(rules: Iterable[Rule], claims: Claims) -> tuple[Grant, ...]:
    """Return the widest role on each level of the rules that match."""
    found: dict[tuple[int, str], Role] = {}
    for rule in rules:
        place = (rule.level, rule.level_id)
        if rule.matches(claims):
            former = found.get(place, rule.role)
            found[place] = max(former, rule.role, key=PERMISSIONS.__getitem__)
    return tuple(Grant(Level(level), id, role) for (level, id), role in found.items())


def values_of(claims: Claims, path: str) -> list[str]:
    """Return the texts of a claim: of its name as it is, or of a path through objects."""
    found: Json = claims.get(path)
    if found is None:
        found = dict(claims)
        for part in path.split("."):
            found = found.get(part) if isinstance(found, dict) else None
    values = found if isinstance(found, list) else [found]
    return [_text(each) for each in values if isinstance(each, str | int)]


def _text(value: str | int) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
