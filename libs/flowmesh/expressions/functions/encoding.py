"""Functions that encode, decode and hash; text is UTF-8."""

import base64
import binascii
import hashlib
from urllib.parse import quote, unquote

from flowmesh.expressions.functions.signatures import Function, Unfit, function


def _bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise Unfit("the text is not valid Unicode") from None


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Unfit("the decoded bytes are not text") from None


def _sha256(text: str) -> str:
    return hashlib.sha256(_bytes(text)).hexdigest()


def _sha512(text: str) -> str:
    return hashlib.sha512(_bytes(text)).hexdigest()


def _md5(text: str) -> str:
    return hashlib.md5(_bytes(text), usedforsecurity=False).hexdigest()


def _base64_encode(text: str) -> str:
    return base64.b64encode(_bytes(text)).decode()


def _base64_decode(text: str) -> str:
    """Decode either alphabet, with or without padding."""
    usual = text.rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
    try:
        return _text(base64.b64decode(usual + "=" * (-len(usual) % 4), validate=True))
    except (binascii.Error, ValueError) as error:
        if isinstance(error, Unfit):
            raise
        raise Unfit("the text is not base64") from None


def _hex_encode(text: str) -> str:
    return _bytes(text).hex()


def _url_encode(text: str) -> str:
    return quote(_bytes(text), safe="")


def _url_decode(text: str) -> str:
    try:
        return unquote(text.replace("+", " "), errors="strict")
    except UnicodeDecodeError:
        raise Unfit("the decoded bytes are not text") from None


FUNCTIONS: tuple[Function, ...] = (
    function("sha256(text: string) -> string", _sha256, "SHA-256, as hexadecimal.", 'sha256("a")'),
    function("sha512(text: string) -> string", _sha512, "SHA-512, as hexadecimal.", 'sha512("a")'),
    function(
        "md5(text: string) -> string",
        _md5,
        "MD5, as hexadecimal; not for security.",
        'md5("a")',
    ),
    function(
        "base64Encode(text: string) -> string",
        _base64_encode,
        "The text as base64.",
        'base64Encode("hello")',
    ),
    function(
        "base64Decode(text: string) -> string",
        _base64_decode,
        "The decoded text, in either alphabet.",
        'base64Decode("aGVsbG8=")',
    ),
    function(
        "hexEncode(text: string) -> string",
        _hex_encode,
        "The text's bytes as hexadecimal.",
        'hexEncode("hi")',
    ),
    function(
        "urlEncode(text: string) -> string",
        _url_encode,
        "The text percent-encoded, for any part of a URL.",
        'urlEncode("a b&c")',
    ),
    function(
        "urlDecode(text: string) -> string",
        _url_decode,
        "The percent-decoded text; `+` is a blank.",
        'urlDecode("a%20b%26c")',
    ),
)
