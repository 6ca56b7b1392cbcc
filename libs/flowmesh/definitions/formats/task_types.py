"""Warnings about task types that look like a mistyped built-in one."""

from collections.abc import Iterable

from flowmesh.definitions.reading.reader import Reader

# Shorter words such as `log` are one letter away from too many others.
_LETTERS_MIN = 4
# Shorter words may differ by a letter: `decay` is a word like `delay`.
_ANOTHER_LETTER_MIN = 6


def warn_if_mistyped(reader: Reader, key: str, known: Iterable[str]) -> None:
    """Warn of the type under `key`, which is not in `known`, if a known one is very similar."""
    if reader.problems.checked:
        return
    word = str(reader.raw(key))
    near = next((each for each in known if is_typo_of(word, each)), "")
    if near:
        message = (
            f"{word[:64]!r} is no built-in task type; did you mean {near!r}? As it is written, it "
            "runs only once a worker has registered for it"
        )
        reader.problems.warn("TASK_TYPE_UNKNOWN", message, (*reader.path, key))


def is_typo_of(word: str, right: str) -> bool:
    """Return whether `word` is a typo of `right`: a letter added, missing, replaced or moved; upper
    case; other separators. A digit or another first letter is no typo.
    """
    word, right = _letters(word), _letters(right)
    if len(right) < _LETTERS_MIN or abs(len(word) - len(right)) > 1:
        return False
    begin = _same(word, right)
    end = min(_same(word[::-1], right[::-1]), min(len(word), len(right)) - begin)
    wrong, wanted = word[begin : len(word) - end], right[begin : len(right) - end]
    if any(letter.isdecimal() for letter in wrong):
        return False
    if len(wrong) != len(wanted) or not wrong:
        return len(wrong) + len(wanted) <= 1
    if len(wrong) == 1:
        return begin > 0 and len(right) >= _ANOTHER_LETTER_MIN
    return wrong == wanted[::-1] if begin == 0 else sorted(wrong) == sorted(wanted)


def _letters(word: str) -> str:
    return "".join(letter for letter in word.lower() if letter.isalnum())


def _same(one: str, other: str) -> int:
    """Return the number of common first letters."""
    pairs = zip(one, other, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
