"""Guesses of secrets: names that hold one, values that are one."""

import math
import re
from collections import Counter
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from flowmesh.contract.json_value import Json
from flowmesh.expressions.secrets import is_secret_reference

MASK = "***"
_NAME = re.compile(
    r"(?:^|[-_.\s]|(?<=[a-z]))"
    r"(?:authorization|password|passwd|passphrase|secret|api[-_]?key|apikey|access[-_]?key|"
    r"private[-_]?key|credentials?|cookie|"
    r"(?:access|auth|bearer|refresh|session|id|api|csrf)[-_]?token|"
    r"(?<!page)(?<!page[-_])(?<!next)(?<!next[-_])token)s?\Z",
    re.IGNORECASE,
)
# Keys of known services, by their prefixes.
_VALUE = re.compile(
    r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----|"
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|"
    r"\bgh[pousr]_[A-Za-z0-9]{36,}|\bgithub_pat_[A-Za-z0-9_]{22,}|\bglpat-[A-Za-z0-9_-]{20,}|"
    r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|\bsk-[A-Za-z0-9_-]{32,}|"
    r"\bxox[abprs]-[A-Za-z0-9-]{10,}|\bAIza[0-9A-Za-z_-]{35}|\bwhsec_[A-Za-z0-9+/=]{16,}|"
    # The text before a token is scanned once, even if it repeats the beginning of a token.
    r"(?<![A-Za-z0-9_-])(?=[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-])"
    r"[A-Za-z0-9_-]*?\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+|"
    r"(?i:\b(?:bearer|basic)\s+)[A-Za-z0-9+/=._-]{12,}"
)
_DENSE = re.compile(r"[A-Za-z0-9+/_=-]{24,256}\Z")
# Bits per character: natural text has about 4, random base64 close to 6, hex up to 4.
_ENTROPY_MIN = 4.2
_TEMPLATE = "{{"


def names_secret(name: str) -> bool:
    """Return whether a value under this name is likely secret (`Authorization`, `apiKey`)."""
    return _NAME.search(name) is not None


def is_secret(text: str) -> bool:
    """Return whether a text holds a key of a known service, or looks like a key."""
    return _VALUE.search(text) is not None or _is_dense(text)


def _is_dense(text: str) -> bool:
    if not _DENSE.match(text) or not any(c.isdecimal() for c in text):
        return False
    if not (any(c.islower() for c in text) and any(c.isupper() for c in text)):
        return False
    counts = Counter(text).values()
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts) >= _ENTROPY_MIN


def holds_secret(name: str, value: Json) -> bool:
    """Return whether a constant under a name is a secret in plain text."""
    if not isinstance(value, str) or not value.strip() or _TEMPLATE in value:
        return False
    if is_secret_reference(value):
        return False
    return names_secret(name) or is_secret(value)


def masked(value: Json, name: str = "") -> Json:
    """Return the value with every secret replaced."""
    if isinstance(value, dict):
        return {key: masked(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [masked(item, name) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if names_secret(name):
        return value if isinstance(value, str) and is_secret_reference(value) else MASK
    return _VALUE.sub(MASK, value) if isinstance(value, str) else value


def masked_url(url: str) -> str:
    """Return the URL without its password and the values of secret parameters."""
    try:
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return url
    netloc = parts.netloc
    if "@" in netloc:
        user, _, host = netloc.rpartition("@")
        netloc = f"{user.partition(':')[0]}:{MASK}@{host}" if ":" in user else netloc
    hidden = [(name, MASK if names_secret(name) else value) for name, value in query]
    text = urlencode(hidden, safe="*") if hidden != query else parts.query
    return urlunsplit(parts._replace(netloc=netloc, query=text))
