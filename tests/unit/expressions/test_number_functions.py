"""Functions over numbers: integers and floats, and both sides of each limit."""

from typing import Any

import pytest

from flowmesh.expressions import RenderError, TemplateInvalid, compile_template

BIG = 2**63 - 1
REFUSED = RenderError


def render(expression: str, data: Any = None) -> Any:
    return compile_template(f"{{{{ {expression} }}}}", ("input",)).render({"input": data})


def check(expression: str, data: Any, expected: Any) -> None:
    """Compare values and their types; REFUSED is an error at registration or at rendering."""
    if expected is REFUSED:
        with pytest.raises((RenderError, TemplateInvalid)):
            render(expression, data)
        return
    found = render(expression, data)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("a", "b", "quotient", "remainder"),
    [
        (6, 3, 2, 0),
        (7, 2, 3.5, 1),
        (-7, 2, -3.5, 1),
        (7, -2, -3.5, -1),
        (0, 5, 0, 0),
        (3, 1, 3, 0),
        (6.0, 3, 2.0, 0.0),
        (6, 3.0, 2.0, 0.0),
        (1, 0, REFUSED, REFUSED),
        (1, 0.0, REFUSED, REFUSED),
        (0, 0, REFUSED, REFUSED),
    ],
)
def test_a_division_is_whole_only_for_integers_without_a_rest(
    a: float, b: float, quotient: Any, remainder: Any
) -> None:
    """As `/` and `%` of Python; the divisor 0 is refused."""
    check("div(input[0], input[1])", [a, b], quotient)
    check("mod(input[0], input[1])", [a, b], remainder)


@pytest.mark.parametrize(
    ("base", "exponent", "expected"),
    [
        (2, 10, 1024),
        (-2, 3, -8),
        (2, -1, 0.5),
        (2.0, 3, 8.0),
        (4, 0.5, 2),
        (2, 52, 2**52),
        (-2, 53, -(2.0**53)),
        (2, 53, 2.0**53),
        (3, 33, 3**33),
        (3, 34, 3.0**34),
        (0, -1, REFUSED),
        (-8, 0.5, REFUSED),
        (10, 400, REFUSED),
    ],
)
def test_a_power_is_whole_below_2_to_the_53(base: float, exponent: float, expected: Any) -> None:
    """A float is exact up to there."""
    check("pow(input[0], input[1])", [base, exponent], expected)


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        (0.5, None, 1),
        (1.5, None, 2),
        (-0.5, None, -1),
        (2.4, None, 2),
        (7, None, 7),
        (7, 2, 7),
        (2.345, 2, 2.35),
        (-2.345, 2, -2.35),
        (2.345, 0, 2),
        (0.1234567890123456, 15, 0.123456789012346),
        (1.5, -1, REFUSED),
        (1.5, 16, REFUSED),
        (7, -1, REFUSED),
        (2.0**53, None, 2**53),
        (2.0**53, 2, 2.0**53),
        (-(2.0**60), 1, -(2.0**60)),
        (2.0**53 - 0.5, None, 2**53),
        (1.25, 1, 1.3),
    ],
)
def test_halves_are_rounded_away_from_zero(value: float, digits: Any, expected: Any) -> None:
    """To an integer without digits; 0 to 15 digits are permitted."""
    check("round(input[0])" if digits is None else f"round(input[0], {digits})", [value], expected)


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        (2.5, 0, "3"),
        (-2.5, 0, "-3"),
        (2, 2, "2.00"),
        (0.005, 2, "0.01"),
        (1e21, 1, "1000000000000000000000.0"),
        (1, 15, "1.000000000000000"),
        (1, 16, REFUSED),
        (1, -1, REFUSED),
        (1e300, 2, REFUSED),
    ],
)
def test_fixed_writes_all_digits(value: float, digits: int, expected: Any) -> None:
    """Never with an exponent."""
    check(f"fixed(input, {digits})", value, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12", 12),
        (" +5 ", 5),
        ("-5", -5),
        ("1e3", 1000.0),
        ("-1.50", -1.5),
        ("0" * 63 + "7", 7),
        ("0" * 64 + "7", REFUSED),
        ("1_0", REFUSED),
        ("١", REFUSED),
        ("", REFUSED),
        ("x", REFUSED),
        ("nan", REFUSED),
        ("inf", REFUSED),
        ("-inf", REFUSED),
        (str(BIG), BIG),
        (str(-BIG), -BIG),
        (str(BIG + 1), REFUSED),
        (str(-BIG - 1), REFUSED),
        (True, 1),
        (False, 0),
        (1.5, 1.5),
        (None, REFUSED),
    ],
)
def test_texts_are_read_as_numbers(text: Any, expected: Any) -> None:
    """Whole ones as integers; what JSON cannot hold is refused."""
    check("number(input)", text, expected)
    check("int(input)", text, expected if expected is REFUSED else int(expected))


@pytest.mark.parametrize(
    ("expression", "numbers", "expected"),
    [
        ("add(input[0], input[1])", [BIG - 1, 1], BIG),
        ("add(input[0], input[1])", [BIG, 1], REFUSED),
        ("sub(input[0], input[1])", [-BIG + 1, 1], -BIG),
        ("sub(input[0], input[1])", [-BIG, 1], REFUSED),
        ("mul(input[0], input[1])", [1e200, 1e200], REFUSED),
        ("mul(input[0], input[1])", [-3, 4], -12),
        ("mul(input[0], input[1])", [0.5, 4], 2.0),
        ("sub(input[0], input[1])", [3, 5], -2),
        ("add(input[0], input[1])", [3, 0.5], 3.5),
        ("abs(input[0])", [-BIG], BIG),
        ("floor(input[0])", [-2.5], -3),
        ("ceil(input[0])", [-2.5], -2),
        ("int(input[0])", [-2.5], -2),
    ],
)
def test_results_are_within_the_integers_of_64_bits(
    expression: str, numbers: list[float], expected: Any
) -> None:
    """The greatest and the least integer are results, one more is refused."""
    check(expression, numbers, expected)


@pytest.mark.parametrize(
    ("numbers", "least", "greatest", "total", "mean"),
    [
        ([3, 1, 2], 1, 3, 6, 2.0),
        ([7], 7, 7, 7, 7.0),
        ([0.1] * 10, 0.1, 0.1, 1.0, 0.1),
        ([1, 0.5], 0.5, 1, 1.5, 0.75),
        ([], REFUSED, REFUSED, 0, REFUSED),
        ([1, True], REFUSED, REFUSED, REFUSED, REFUSED),
        ([1, "2"], REFUSED, REFUSED, REFUSED, REFUSED),
        ([1, [2]], REFUSED, REFUSED, REFUSED, REFUSED),
    ],
)
def test_numbers_of_an_array_are_those_of_the_arguments(
    numbers: list[Any], least: Any, greatest: Any, total: Any, mean: Any
) -> None:
    """Only numbers count, and an empty array has no least one."""
    many = ", ".join(f"input[{index}]" for index in range(len(numbers)))
    for name, expected in (("min", least), ("max", greatest), ("sum", total), ("avg", mean)):
        check(f"{name}(input)", numbers, expected)
        if numbers:
            check(f"{name}({many})", numbers, expected)
