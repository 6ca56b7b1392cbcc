"""Numbers with their nouns."""

from flowmesh.contract.nouns import counted, text_of


def test_a_noun_follows_its_number() -> None:
    """Also one that changes its end."""
    numbers = [counted(number, "entry") for number in (0, 1, 2_000)]
    assert numbers == ["0 entries", "1 entry", "2,000 entries"]


def test_a_text_counts_with_the_nouns_that_it_names() -> None:
    """Braces in the values are not read."""
    values = {"left": 1, "waiting": 2, "type": "{left}"}
    assert text_of("{type}: {left:task} left", values) == "{left}: 1 task left"
    assert text_of("{waiting:worker} wait", values) == "2 workers wait"
