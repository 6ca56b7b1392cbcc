"""References to secrets: their form, the keys that a value reads, and what stands in for them."""

from typing import Any

import pytest

from flowmesh.expressions.references import Reference
from flowmesh.expressions.secrets import (
    input_secrets,
    is_malformed_reference,
    is_secret_reference,
    key_of,
    keys_in,
    split_key,
    with_placeholders,
    with_templates,
)


@pytest.mark.parametrize(
    ("key", "name", "version"),
    [
        ("made-up", "made-up", 0),
        ("a.b_c#1", "a.b_c", 1),
        ("a#999999999", "a", 999_999_999),
        ("a" * 128, "a" * 128, 0),
        ("a" * 129, None, 0),
        ("a#0", None, 0),
        ("a#01", None, 0),
        ("a#1234567890", None, 0),
        ("a#", None, 0),
        ("a#b", None, 0),
        ("a b", None, 0),
        ("", None, 0),
        ("é", None, 0),
    ],
)
def test_a_key_is_a_name_with_or_without_a_version(
    key: str, name: str | None, version: int
) -> None:
    """In a reference, too; the version 0 is the newest."""
    assert is_secret_reference(f"secret://{key}") is (name is not None)
    assert is_malformed_reference(f"secret://{key}") is (name is None)
    if name is None:
        with pytest.raises(ValueError, match="no name of a secret"):
            split_key(key)
        return
    assert split_key(key) == (name, version)
    assert with_templates([{"k": f"secret://{key}"}]) == [{"k": f'{{{{secrets["{key}"]}}}}'}]
    assert keys_in(with_templates(f"secret://{key}")) == {key}


@pytest.mark.parametrize("text", ["", "a", "secret:/a", " secret://a", "x secret://a"])
def test_another_text_is_no_reference_and_not_malformed(text: str) -> None:
    """It must begin as one."""
    assert not is_secret_reference(text)
    assert not is_malformed_reference(text)
    assert with_templates({"a": [text, 1]}) == {"a": [text, 1]}


@pytest.mark.parametrize(
    ("path", "key"), [(("a",), "a"), (("a#2", "x"), "a#2"), ((), None), ((0,), None)]
)
def test_a_reference_reads_the_secret_of_its_first_name(
    path: tuple[str | int, ...], key: str | None
) -> None:
    """None without one is refused."""
    if key is None:
        with pytest.raises(ValueError, match="name one secret"):
            key_of(Reference("secrets", path))
    else:
        assert key_of(Reference("secrets", path)) == key


@pytest.mark.parametrize(
    ("value", "keys"),
    [
        ("{{secrets.a}}", {"a"}),
        ("x {{secrets.a}} {{secrets.b}}", {"a", "b"}),
        ({"k": ["{{upper(secrets.a)}}", "{{input.b}}"]}, {"a"}),
        ("{{input.secrets}}", set()),
        ("{{input.x}} {{secrets.a}} {{context.y}}", {"a"}),
        ("secrets.a", set()),
        ("{{secrets.a", set()),
        ("{{other.x}} {{secrets.a}}", set()),
        ([1, None, True], set()),
    ],
)
def test_the_keys_of_a_value_are_those_of_its_templates(value: Any, keys: set[str]) -> None:
    """Beside other data, at any depth."""
    assert keys_in(value) == keys


@pytest.mark.parametrize(
    ("text", "stands", "placeholder"),
    [
        ("secret://a#2", True, "secret://a#2"),
        ("{{secrets.a}}", True, "${secrets.a}"),
        ("Bearer {{secrets.a}}", True, "Bearer ${secrets.a}"),
        ("{{secrets.a}} {{input.b}}", False, ""),
        ("{{input.secrets}}", False, ""),
        ("{{upper('secrets')}}", False, ""),
        ("{{secrets.a", False, ""),
        ("secrets", False, ""),
        ("{{", False, ""),
    ],
)
def test_a_text_of_an_input_stands_for_secrets_alone(
    text: str, stands: bool, placeholder: str
) -> None:
    """Its place and keys are found, and a constant is stored for it."""
    value = {"l": [0, {"k": text}], "n": 1}
    found = list(input_secrets(value))
    assert [(each.path, each.text, each.placeholder) for each in found] == (
        [(("l", 1, "k"), text, placeholder)] if stands else []
    )
    assert [each.keys for each in found] == ([{"a#2"} if "#" in text else {"a"}] if stands else [])
    kept = {"l": [0, {"k": placeholder if stands else text}], "n": 1}
    assert with_placeholders(value) == kept
