"""Matching of routing keys against patterns of topic exchanges.

Words are separated by dots. `*` matches one word and `#` any number of words; an empty key has no
words, and an empty word is a word.
"""

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class _Node(Generic[T]):
    """A position in patterns: the words that lead on, and the targets of patterns that end here."""

    __slots__ = ("any_word", "any_words", "repeats", "targets", "words")

    def __init__(self, *, repeats: bool = False) -> None:
        self.words: dict[str, _Node[T]] = {}
        self.any_word: _Node[T] | None = None
        self.any_words: _Node[T] | None = None
        # The node follows a `#`, which consumes further words.
        self.repeats = repeats
        self.targets: list[T] = []


class TopicTable(Generic[T]):
    """Patterns with their targets, as a trie that is walked once per key."""

    def __init__(self, patterns: Iterable[tuple[str, T]] = ()) -> None:
        self._root: _Node[T] = _Node()
        for pattern, target in patterns:
            self.add(pattern, target)

    def match(self, key: str) -> Iterator[T]:
        """Yield the targets of the matching patterns; a target of several may come repeatedly."""
        positions = _closed({self._root: None})
        for word in words_of(key):
            following: dict[_Node[T], None] = {}
            for node in positions:
                if node.repeats:
                    following[node] = None
                if (found := node.words.get(word)) is not None:
                    following[found] = None
                if node.any_word is not None:
                    following[node.any_word] = None
            if not following:
                return
            positions = _closed(following)
        for node in positions:
            yield from node.targets

    def add(self, pattern: str, target: T) -> None:
        node = self._root
        for word in words_of(pattern):
            if word == "*":
                node.any_word = node.any_word or _Node()
                node = node.any_word
            elif word != "#":
                node = node.words.setdefault(word, _Node())
            elif not node.repeats:  # `#.#` equals `#`
                node.any_words = node.any_words or _Node(repeats=True)
                node = node.any_words
        node.targets.append(target)


def words_of(key: str) -> list[str]:
    return key.split(".") if key else []


def _closed(positions: dict[_Node[T], None]) -> dict[_Node[T], None]:
    """Return the positions with those that `#` reaches without a word."""
    pending = list(positions)
    while pending:
        after = pending.pop().any_words
        if after is not None and after not in positions:
            positions[after] = None
            pending.append(after)
    return positions
