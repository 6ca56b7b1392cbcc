"""Conversion of HTTP responses to outputs of steps or to failures."""

import codecs
import email.utils
from collections.abc import Callable
from datetime import UTC
from typing import Any

import orjson

from flowmesh.egress import Response
from flowmesh.executors import failures, limits
from flowmesh.executors.base import Output
from flowmesh.executors.failures import TaskFailure, invalid
from flowmesh.executors.http.xml import xml_value
from flowmesh.jsontext.integers import ALLOWED, inexact

NowUs = Callable[[], int]

# Codecs of Python that are no charsets: they reject bytes or produce invalid Unicode.
_NO_CHARSETS = frozenset(
    {"idna", "punycode", "raw_unicode_escape", "undefined", "unicode_escape", "utf_7"}
)

_CLASSES = {
    401: failures.AUTHENTICATION,
    403: failures.AUTHENTICATION,
    408: failures.TIMEOUT,
    429: failures.RATE_LIMIT,
}


def output_of(response: Response, now_us: NowUs) -> Output:
    """Return the parsed body, with status and headers as metadata. Raises TaskFailure from 400."""
    if response.status >= 400:
        raise failure_of(response, now_us)
    metadata = orjson.dumps({"http": _described(response)})
    body = response.body
    if not body:
        return Output(b"null", metadata, None)
    kind, charset = _content_type(response)
    if _is_json(kind) or (kind in ("", "application/octet-stream") and _looks_like_json(body)):
        return _json_output(_utf8(body, charset), metadata, declared=_is_json(kind))
    if kind in ("application/xml", "text/xml") or kind.endswith("+xml"):
        return Output.of(xml_value(body), metadata)
    return Output.of(_text(body, charset), metadata)


def value_of(response: Response, now_us: NowUs) -> Any:
    """Return the output as a parsed value. Raises TaskFailure from status 400."""
    return output_of(response, now_us).parsed()


def failure_of(response: Response, now_us: NowUs) -> TaskFailure:
    """Return the failure of a response with a status of 400 or above."""
    status = response.status
    by_range = failures.SERVER if status >= 500 else failures.CLIENT
    _, charset = _content_type(response)
    body = _text(response.body[: 4 * limits.ERROR_BODY_CHARACTERS_MAX], charset)
    details = {**_described(response), "body": body[: limits.ERROR_BODY_CHARACTERS_MAX]}
    return TaskFailure(
        _CLASSES.get(status, by_range),
        f"the service answered {status}",
        retry_after_ms=retry_after_ms(response.headers.get("retry-after", ""), now_us),
        details={"http": details},
    )


def retry_after_ms(value: str, now_us: NowUs) -> int:
    """Parse `Retry-After`, seconds or an HTTP date, to ms from now; 0 if absent or invalid."""
    value = value.strip()
    if value.isascii() and value.isdecimal():
        wait_ms = int(value[:12]) * 1000
    else:
        try:
            at = email.utils.parsedate_to_datetime(value)
            # The oldest HTTP date format has no time zone; it means UTC.
            at_s = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
        except (ValueError, TypeError, OverflowError):
            return 0
        wait_ms = int(at_s * 1000) - now_us() // 1000
    return max(0, min(wait_ms, limits.RETRY_AFTER_MS_MAX))


def _described(response: Response) -> dict[str, Any]:
    headers: dict[str, str] = {}
    size = 0
    for name, value in response.headers.items():
        size += len(name) + len(value)
        if size > limits.METADATA_HEADER_BYTES_MAX:
            break
        headers[name] = value.encode("utf-8", "replace").decode("utf-8")
    return {"status": response.status, "headers": headers}


def _content_type(response: Response) -> tuple[str, str]:
    kind, _, parameters = response.headers.get("content-type", "").partition(";")
    charset = ""
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            charset = value.strip().strip('"').lower()
    return kind.strip().lower(), charset


def _is_json(kind: str) -> bool:
    return kind in ("application/json", "text/json") or kind.endswith("+json")


def _looks_like_json(body: bytes) -> bool:
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return True


def _json_output(body: bytes, metadata: bytes, *, declared: bool) -> Output:
    """Return the original bytes of the body, so that no number changes."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        kind = "application/json" if declared else "JSON"
        raise invalid(f"the response is declared as {kind} but cannot be parsed") from None
    if body.count(b"[") + body.count(b"{") > limits.NESTING_MAX and _too_deep(value):
        raise invalid(f"the answer is nested more than {limits.NESTING_MAX} levels deep")
    if path := inexact(body, "answer"):
        raise invalid(f"{path} is an integer that cannot be kept: {ALLOWED}")
    return Output(body, metadata, value)


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(limits.NESTING_MAX):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def _utf8(body: bytes, charset: str) -> bytes:
    if charset in ("", "utf-8", "utf8", "us-ascii"):
        return body.removeprefix(b"\xef\xbb\xbf")
    return _text(body, charset).encode()


def _text(body: bytes, charset: str) -> str:
    try:
        known = codecs.lookup(charset).name.replace("-", "_") not in _NO_CHARSETS
        return body.decode(charset if known else "utf-8", "replace")
    except LookupError:
        return body.decode("utf-8", "replace")
