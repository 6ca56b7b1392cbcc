"""Accounts of NATS and Redis: each process may use the subjects and keys of its service only.

NATS knows the public part of a key (nkey), and the process signs a challenge. Redis wants a
password. Both are in files of one folder, readable by their owner only.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from pathlib import Path
from urllib.parse import quote, urlsplit

from flowmesh.certificates.nkeys import Nkey, inbox_prefix, new_seed
from flowmesh.runtime import Settings
from flowmesh.suite.processes import Member
from flowmesh.suite.services import SERVICES

# The folder in the data directory.
ACCOUNTS = "accounts"
DIRECTORY = "directory"
"""The account of the gateways of other cells, which read and write the directory."""

# The seed of a container's account.
CONTAINER_SEED = "/account/nats.nk"
# Services need neither the configuration of Redis nor a list of all keys.
_COMMANDS = "+@all -@admin -@dangerous"


@dataclass(frozen=True, slots=True)
class Rights:
    """Subjects of NATS that a process sends to and reads; keys and channels of Redis."""

    sends: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()

    def __or__(self, other: "Rights") -> "Rights":
        return Rights(
            self.sends + other.sends,
            self.reads + other.reads,
            self.keys + other.keys,
            self.channels + other.channels,
        )


def directory_rights(prefix: str) -> Rights:
    """Return the rights of a gateway in the NATS that keeps the directory of cells."""
    bucket = f"KV_{prefix}-cells"
    stream = ("STREAM.CREATE", "STREAM.UPDATE", "STREAM.INFO", "STREAM.MSG.GET", "CONSUMER.CREATE")
    return Rights(
        sends=(
            f"$KV.{prefix}-cells.>",
            *(f"$JS.API.{each}.{bucket}" for each in stream),
            *(f"$JS.API.{each}.{bucket}.>" for each in ("CONSUMER.CREATE", "CONSUMER.MSG.NEXT")),
            f"$JS.API.DIRECT.GET.{bucket}.>",
        )
    )


def rights_of(prefix: str, publish_prefix: str) -> dict[str, Rights]:
    """Return the rights of each service by the prefixes of subjects and keys."""
    definitions = f"{prefix}.definitions.changed"
    confirmed = f"{definitions}.confirmed.>"
    events = f"{prefix.upper()}_EVENTS"
    broker = tuple(
        f"{prefix}.{each}" for each in ("topology.changed", "broker.delayed", "eventstore.appended")
    )
    own = {
        "identity": Rights(sends=(f"{prefix}.identity.>",), keys=(f"{prefix}:identity:*",)),
        "definition": Rights(sends=(definitions,), reads=(confirmed,)),
        "registry": Rights(keys=(f"{prefix}:registry*",), channels=(f"{prefix}:registry*",)),
        "event": Rights(
            sends=(
                confirmed,
                *broker,
                *(f"{prefix}.{each}.>" for each in ("queue", "delayed")),
                # The streams of queues have names of their own, which no pattern covers.
                *(f"$JS.API.{each}.>" for each in ("STREAM", "CONSUMER", "DIRECT.GET")),
                "$JS.ACK.>",
            ),
            reads=(definitions, *broker),
        ),
        "orchestrator": Rights(
            sends=(
                confirmed,
                f"{prefix}.events.>",
                *(
                    f"$JS.API.{each}.{events}"
                    for each in (
                        *("STREAM.CREATE", "STREAM.UPDATE", "STREAM.INFO", "STREAM.MSG.GET"),
                        "DIRECT.GET",
                    )
                ),
                f"$JS.API.DIRECT.GET.{events}.>",
            ),
            reads=(definitions,),
            keys=(f"{prefix}:finished:*",),
        ),
        "worker": Rights(sends=(f"{publish_prefix}.>",), keys=(f"{prefix}:result:*",)),
        "apphost": Rights(
            sends=(f"{prefix}.apphost.changed",), reads=(f"{prefix}.apphost.changed",)
        ),
    }
    # Revoked credentials, quotas, and the news that data keys changed.
    every = Rights(reads=(f"{prefix}.identity.>",))
    return {service: own.get(service, Rights()) | every for service in SERVICES}


class Accounts:
    """The accounts of an installation by name, and the folder of their keys and passwords."""

    def __init__(self, folder: Path, rights: Mapping[str, Rights]) -> None:
        self._folder = folder.absolute()
        self._rights = rights

    @classmethod
    def of(cls, settings: Settings, folder: Path, *, whole: str = "") -> "Accounts":
        """Return an account for each service, and `whole` for a process with all of them."""
        rights = rights_of(settings.bus_prefix, settings.publish_prefix)
        if settings.cell_name:
            rights[DIRECTORY] = directory_rights(settings.bus_prefix)
            rights["gateway"] |= rights[DIRECTORY]
        if whole:
            rights[whole] = reduce(or_, rights.values())
        return cls(folder, rights)

    def nats_users(self) -> list[dict[str, object]]:
        """Return the users of the configuration of NATS.

        The subjects of replies begin with the name of the user, so that none reads those of
        another.
        """
        users: list[dict[str, object]] = []
        for name, rights in self._rights.items():
            public = Nkey.read(str(self._nkey(name))).public
            replies = f"{inbox_prefix(public)}.>"
            permissions = {
                "publish": {"allow": [replies, *rights.sends]},
                "subscribe": {"allow": [replies, *rights.reads]},
            }
            users.append({"nkey": public, "permissions": permissions})
        return users

    def redis_users(self) -> list[str]:
        """Return the users of the configuration of Redis, one a line."""
        lines = []
        for name, rights in self._rights.items():
            digest = hashlib.sha256(self._password(name).encode()).hexdigest()
            patterns = [f"~{each}" for each in rights.keys]
            patterns += [f"&{each}" for each in rights.channels]
            words = ("reset", "on", f"#{digest}", "resetchannels", *patterns, _COMMANDS)
            lines.append(f"user {name} {' '.join(words)}")
        return lines

    def nats(self, address: str, name: str, *, seed: str = "") -> str:
        """Return the address of a server for an account; empty for none.

        `seed` is the place of the seed in a container.
        """
        if not address:
            return ""
        parts = urlsplit(address)
        nkey = f"nkey={quote(seed or str(self._nkey(name)), safe='/')}"
        query = f"{parts.query}&{nkey}" if parts.query else nkey
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query).geturl()

    def redis(self, address: str, name: str) -> str:
        """Return the address of a server for an account; empty for none."""
        if not address:
            return ""
        parts = urlsplit(address)
        host = parts.netloc.rpartition("@")[2]
        return parts._replace(netloc=f"{name}:{self._password(name)}@{host}").geturl()

    def write(self, nats: str, redis: str) -> None:
        """Write the users of both servers, and the addresses for the container of each service.

        The servers have no other users.
        """
        users = {"authorization": {"users": self.nats_users()}}
        self._write("nats.conf", json.dumps(users, indent=1))
        self._write("redis.conf", "\n".join(("user default off", *self.redis_users())))
        for name in self._rights:
            addresses = {
                "FLOWMESH_NATS": self.nats(nats, name, seed=CONTAINER_SEED),
                "FLOWMESH_REDIS": self.redis(redis, name),
            }
            lines = (f"{variable}={address}" for variable, address in addresses.items())
            self._write(f"{name}.env", "\n".join(lines))

    def of_process(self, settings: Settings, nats: str, redis: str, name: str) -> Settings:
        """Return the settings of this process with the addresses of its account."""
        found = {"nats": self.nats(nats, name), "redis": self.redis(redis, name)}
        return settings.model_copy(update={key: value for key, value in found.items() if value})

    def of_members(self, members: Sequence[Member], nats: str, redis: str) -> list[Member]:
        """Return the processes with the addresses of their accounts."""
        return [
            replace(
                member,
                nats=self.nats(nats, member.service),
                redis=self.redis(redis, member.service),
            )
            for member in members
        ]

    def _nkey(self, name: str) -> Path:
        """Return the file with the seed of an account."""
        return self._made(f"{name}.nk", new_seed)

    def _password(self, name: str) -> str:
        return self._made(f"{name}.password", lambda: secrets.token_urlsafe(24)).read_text().strip()

    def _made(self, name: str, make: Callable[[], str]) -> Path:
        """Return a file, which is made if it is not there."""
        path = self._folder / name
        return path if path.exists() else self._write(name, make())

    def _write(self, name: str, text: str) -> Path:
        """Write a file for its owner only."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / name
        draft = path.with_name(f"{name}.new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with os.fdopen(os.open(draft, flags, 0o600), "w") as file:
            file.write(text + "\n")
        return draft.replace(path)


async def write_accounts(settings: Settings, folder: Path, nats: str, redis: str) -> None:
    """Write an account for each service into a folder; those that are there stay."""
    Accounts.of(settings, folder).write(nats, redis)
