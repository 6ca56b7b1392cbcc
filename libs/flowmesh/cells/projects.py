"""The cells of projects: a hash table in two arrays, 9 bytes for each of its slots.

Each name is stored as a keyed hash of 64 bits. The key is random, so that a client cannot construct
two names with the same hash.
"""

import hashlib
from array import array
from dataclasses import dataclass

_SLOTS_MIN = 1 << 10
_USED_MAX = 0.7
_STRICT = 0x20
_NUMBER = 0x1F


@dataclass(frozen=True, slots=True)
class Home:
    """The cell of a project. A strict project is served by processes of its region only."""

    cell: int
    strict: bool = False


# A value of a slot is one more than the number of the cell; 0 is a name without a cell.
_HOMES: tuple[Home | None, ...] = tuple(
    Home((value & _NUMBER) - 1, bool(value & _STRICT)) if value & _NUMBER else None
    for value in range(2 * _STRICT)
)


class Projects:
    """The homes of projects by name."""

    def __init__(self, key: bytes, hashes: bytes = b"", values: bytes = b"") -> None:
        """`hashes` and `values` are those of `saved`, with the same key."""
        self.key = key
        self._keyed = hashlib.blake2b(key=key, digest_size=8)
        self._hashes = array("Q", hashes or bytes(8 * _SLOTS_MIN))
        self._values = bytearray(values or bytes(_SLOTS_MIN))
        self._mask = len(self._values) - 1
        if len(self._hashes) != len(self._values) or len(self._values) & self._mask:
            raise ValueError("the arrays of the projects do not fit together")
        self._used = sum(1 for each in self._hashes if each)

    def get(self, name: str) -> Home | None:
        """Return the home of a project; None if it has none."""
        return _HOMES[self._values[self._slot(self._hash(name))]]

    def put(self, name: str, home: Home | None) -> None:
        """Set the home of a project, or remove it."""
        digest = self._hash(name)
        slot = self._slot(digest)
        if not self._hashes[slot]:
            if home is None:
                return
            self._hashes[slot] = digest
            self._used += 1
        self._values[slot] = 0 if home is None else home.cell + 1 + _STRICT * home.strict
        if self._used > _USED_MAX * len(self._values):
            self._grow()

    def counts(self) -> dict[int, int]:
        """Return the number of projects of each cell that has some."""
        found: dict[int, int] = {}
        for value in set(self._values):
            home = _HOMES[value]
            if home is not None:
                found[home.cell] = found.get(home.cell, 0) + self._values.count(value)
        return found

    def saved(self) -> tuple[bytes, bytes]:
        """Return the arrays, to be read again with the same key."""
        return self._hashes.tobytes(), bytes(self._values)

    def bytes_used(self) -> int:
        """Return the size of the arrays."""
        return len(self._values) + self._hashes.itemsize * len(self._hashes)

    def _hash(self, name: str) -> int:
        keyed = self._keyed.copy()
        keyed.update(name.encode())
        return int.from_bytes(keyed.digest(), "little") or 1

    def _slot(self, digest: int) -> int:
        """Return the slot of a hash, or the free one in which it would be."""
        hashes, mask = self._hashes, self._mask
        slot = digest & mask
        while (found := hashes[slot]) and found != digest:
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        former, values = self._hashes, self._values
        self._hashes = array("Q", bytes(2 * former.itemsize * len(former)))
        self._values = bytearray(2 * len(values))
        self._mask = len(self._values) - 1
        for digest, value in zip(former, values, strict=True):
            if digest:
                slot = self._slot(digest)
                self._hashes[slot], self._values[slot] = digest, value
