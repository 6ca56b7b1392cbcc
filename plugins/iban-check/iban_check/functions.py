"""The check digits of an IBAN (ISO 13616, by ISO 7064 MOD 97-10)."""

import re

_FORM = re.compile(r"([A-Z]{2})(\d{2})([A-Z0-9]{11,30})")


def check(value: dict) -> dict:
    """Return the country and the account of `iban`, and whether its check digits are right."""
    text = re.sub(r"\s", "", value["iban"]).upper()
    match = _FORM.fullmatch(text)
    if match is None:
        return {"iban": text, "valid": False}
    country, digits, account = match.groups()
    number = int("".join(str(int(each, 36)) for each in f"{account}{country}{digits}"))
    return {"iban": text, "valid": number % 97 == 1, "country": country, "account": account}


def self_test() -> None:
    """Raise unless the example of the standard is right."""
    if not check({"iban": "GB82 WEST 1234 5698 7654 32"})["valid"]:
        raise ValueError("the example of the standard is refused")
