"""Hashes and signatures of chains. Pure."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from flowmesh.identity.storage.audit import AuditEntry, AuditHead

# The hash before the first entry.
BEGINNING = bytes(32)
_PURPOSE = "flowmesh audit"


def linked(entry: AuditEntry, company: str, previous: bytes) -> AuditEntry:
    """Return the entry with its hash, which covers all its fields and the hash before it."""
    return entry._replace(hash=hash_of(entry, company, previous))


def hash_of(entry: AuditEntry, company: str, previous: bytes) -> bytes:
    *fields, _ = entry
    return hashlib.sha256(previous + orjson.dumps([company, *fields])).digest()


def signed(company: str, last: AuditEntry, now_us: int, key: Ed25519PrivateKey) -> AuditHead:
    """Return the signed end of a chain."""
    head = AuditHead(company, last.sequence, last.hash, now_us, b"")
    return replace(head, signature=key.sign(_signed_text(head)))


def is_signed(head: AuditHead, key: Ed25519PrivateKey) -> bool:
    """Return whether the installation has signed the end of a chain."""
    try:
        key.public_key().verify(head.signature, _signed_text(head))
    except InvalidSignature:
        return False
    return True


def _signed_text(head: AuditHead) -> bytes:
    lines = (_PURPOSE, head.company, head.sequence, head.hash.hex(), head.signed_at_us)
    return "\n".join(map(str, lines)).encode()


class ChainCheck:
    """The check of a chain, page by page. `problem` says what is wrong with the first bad one."""

    def __init__(self, company: str) -> None:
        self._company = company
        self.entries = 0
        self.last_hash = BEGINNING
        self.broken_sequence = 0
        self.problem = ""

    def add(self, entries: Iterable[AuditEntry]) -> bool:
        """Check the next entries; return whether all of them fit."""
        for entry in entries:
            if entry.sequence != self.entries + 1:
                expected = self.entries + 1
                return self._broken(expected, f"entry {expected} is missing")
            if hash_of(entry, self._company, self.last_hash) != entry.hash:
                text = "was changed, or is not the entry that followed the one before it"
                return self._broken(entry.sequence, f"entry {entry.sequence} {text}")
            self.entries, self.last_hash = entry.sequence, entry.hash
        return True

    def end(self, head: AuditHead | None, key: Ed25519PrivateKey) -> None:
        """Compare the end of the chain with its signed head."""
        if self.problem:
            return
        if head is None:
            if self.entries:
                self._broken(1, "the signed head of the chain is missing")
        elif not is_signed(head, key):
            self._broken(head.sequence, "the signature of the head is not of this installation")
        elif head.sequence > self.entries:
            text = f"entries {self.entries + 1} to {head.sequence} were cut off"
            self._broken(self.entries + 1, text)
        elif head.sequence < self.entries or head.hash != self.last_hash:
            self._broken(head.sequence + 1, f"entries follow the signed head {head.sequence}")

    def _broken(self, sequence: int, problem: str) -> bool:
        self.broken_sequence, self.problem = sequence, problem
        return False
