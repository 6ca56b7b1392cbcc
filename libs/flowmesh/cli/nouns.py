"""Nouns in the words and texts of commands."""


def plural(noun: str) -> str:
    """Return the plural, as in `companies` and `workflows`."""
    return f"{noun[:-1]}ies" if noun.endswith(("ny", "ry")) else f"{noun}s"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, as in `1 entry` and `2,000 entries`."""
    return f"{number:,} {noun if number == 1 else plural(noun)}"
