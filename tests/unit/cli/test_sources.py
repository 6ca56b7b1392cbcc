"""Values that are given to commands: as text, from files and from standard input."""

import io
from pathlib import Path

import pytest

from flowmesh.cli.definitions.sources import read_value
from flowmesh.cli.refusals import Refused


def test_values_are_exact() -> None:
    """Integers of 64 bits are not rounded."""
    assert read_value('{"n": 18446744073709551615}', "--input") == {"n": 2**64 - 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": {"b": 1, "b": 2}}', "--input: The key 'b' occurs twice in one object: a.b."),
        ("{", "--input is not JSON: Expecting property name"),
        ('{"n": [18446744073709551616]}', "--input: n[0] is an integer that cannot be kept"),
        ("NaN", "--input holds a number that cannot be kept."),
        ('"\udcff"', "--input is not UTF-8: byte 1 cannot be decoded."),
        ('"\\ud800"', "--input: A string holds half of a surrogate pair."),
    ],
)
def test_an_invalid_value_is_reported(text: str, message: str) -> None:
    """The message names the option."""
    with pytest.raises(Refused) as refused:
        read_value(text, "--input")
    assert str(refused.value).startswith(message)


def test_files_and_standard_input_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error names its file."""
    file = tmp_path / "input.json"
    file.write_text('[{"a": 1, "a": 1}]')
    with pytest.raises(Refused, match=r"input.json: The key 'a' occurs twice .*: \[0\].a"):
        read_value(f"@{file}", "--input")
    monkeypatch.setattr("sys.stdin", io.StringIO("{]"))
    with pytest.raises(Refused, match="standard input is not JSON"):
        read_value("-", "--input")
