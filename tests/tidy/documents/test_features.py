"""The list of features and the marks in the tests agree."""

import re

from tools import breaks, features


def test_every_mark_is_a_feature() -> None:
    """A test cannot carry an ID that is not in tests/features.toml."""
    assert sorted(features.marked().keys() - features.known().keys()) == []


def test_every_feature_is_one_line() -> None:
    """IDs are well formed and in order, each with one short sentence."""
    known = features.known()
    for name, line in known.items():
        assert re.fullmatch(r"S[0-5]-\d{2,3}", name)
        assert line
        assert "\n" not in line
        assert not line.endswith(".")
    order = [(name[:2], int(name[3:])) for name in known]
    assert order == sorted(order)


def test_marks_stand_in_tests_that_drive_the_product() -> None:
    """A test of this folder reads files; it shows no feature at work."""
    readers = {
        name: [file for file in files if file.startswith("tests/tidy/")]
        for name, files in features.marked().items()
    }
    assert {name: files for name, files in readers.items() if files} == {}


def test_every_break_can_be_made() -> None:
    """It belongs to a marked feature, and its text stands once in the module that it names."""
    marked = features.marked()
    for broken in breaks.known().values():
        assert broken.feature in marked
        text = (features.ROOT / broken.file).read_text()
        assert broken.applied_to(text) != text
