"""Docstrings, comments and pages speak plain English, by the lists of tools/plain_words.toml."""

import pytest

from tests.tidy import sources
from tools import plain_words


@pytest.mark.parametrize("part", plain_words.PARTS)
def test_words_of_a_private_language_are_rare(part: str) -> None:
    """At most half a listed word in a thousand lines."""
    found = plain_words.figures(part)
    most = plain_words.RULES["words_per_1000_lines_max"]
    assert found.words_per_1000_lines <= most, f"python -m tools.plain_words {part} lists them"


@pytest.mark.parametrize("part", plain_words.PARTS)
def test_docstrings_are_noun_phrases_or_imperatives(part: str) -> None:
    """At most two in a hundred begin with an interrogative."""
    found = plain_words.figures(part)
    assert found.interrogative_share <= plain_words.RULES["interrogative_docstrings_max"]


def test_exceptions_are_in_their_files() -> None:
    """A sentence that is gone takes its exception along."""
    for name, sentences in plain_words.RULES["exceptions"].items():
        text = sources.text(name)
        assert [sentence for sentence in sentences if sentence not in text] == []
