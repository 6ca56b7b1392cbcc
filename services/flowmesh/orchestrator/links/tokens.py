"""Tokens of approval links: signed text. No I/O.

A token is `<key>.<content>.<signature>`: the number of the key, JSON, and the HMAC-SHA256 of
everything before it, the last two as base64url without padding.
"""

import base64
import binascii
import hashlib
import hmac

import msgspec

TOKEN_CHARACTERS_MAX = 4_096
_PURPOSE = b"flowmesh approval link 1\0"
"""Purpose in the signed text: no other text signed with the same key is valid as a link."""


class ApprovalLink(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The right to decide one approval until a time; `asked_at_us` is the time of the request."""

    namespace: str
    execution_id: str
    node: str
    asked_at_us: int
    by: str
    scope: int
    expires_at_us: int


class TokenInvalid(Exception):
    """The text is not a token, or was not signed with this key."""


def token_of(link: ApprovalLink, key_id: int, secret: bytes) -> str:
    content = f"{key_id}.{_text(msgspec.json.encode(link))}"
    return f"{content}.{_signature(content, secret)}"


def key_of(token: str) -> int:
    """Return the number of the key in a token. Raises TokenInvalid."""
    key, dot, _ = token.partition(".")
    known = key.isascii() and key.isdecimal() and len(key) < 10
    if not (dot and known and len(token) <= TOKEN_CHARACTERS_MAX):
        raise TokenInvalid
    return int(key)


def link_of(token: str, secret: bytes) -> ApprovalLink:
    """Return the content of a token after the check of its signature. Raises TokenInvalid."""
    content, _, signature = token.rpartition(".")
    if not hmac.compare_digest(_signature(content, secret).encode(), signature.encode()):
        raise TokenInvalid
    try:
        text = content.partition(".")[2]
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return msgspec.json.decode(data, type=ApprovalLink)
    except (binascii.Error, ValueError) as error:
        raise TokenInvalid from error


def _signature(content: str, secret: bytes) -> str:
    signed = _PURPOSE + content.encode("utf-8", "surrogatepass")
    return _text(hmac.new(secret, signed, hashlib.sha256).digest())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
