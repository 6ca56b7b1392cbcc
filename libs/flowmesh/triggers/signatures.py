"""Verification of webhook signatures by provider, and the identity of each call.

Comparisons take constant time. If the provider signs a time, calls outside the tolerance are
rejected. The identity of a call is signed too, so a replay cannot pass as another call.
"""

import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from standardwebhooks.webhooks import Webhook

from flowmesh.api.definition.v1 import trigger_pb2 as pb
from flowmesh.errors import Invalid, Unauthenticated, UnsupportedMediaType
from flowmesh.jsontext import dump_json, parse_json

TOLERANCE_S: Final = 300
# Senders sign with two secrets during a rotation.
SIGNATURES_MAX: Final = 16
_ID: Final = re.compile(r"[A-Za-z0-9_:-]{1,128}\Z")
_NAMED: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}\Z")
_SECONDS: Final = re.compile(r"[0-9]{1,12}\Z")
DEFAULT_HEADER: Final = "x-signature-256"

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Call:
    """A verified call. Calls with equal names are duplicates; an empty name identifies none."""

    name: str
    payload: Any


def verified(receiver: pb.Receiver, headers: Headers, body: bytes, now_s: int) -> Call:
    """Verify a call; header names are in lower case. Raises WEBHOOK_UNAUTHENTICATED, and
    CONTENT_TYPE_UNSUPPORTED for another content type than JSON."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        what = (
            f"Content-Type {media_type!r} is not accepted here" if media_type else "No Content-Type"
        )
        raise UnsupportedMediaType("CONTENT_TYPE_UNSUPPORTED", f"{what}; send application/json.")
    name = _CHECKS[receiver.provider](receiver, headers, body, now_s)
    try:
        payload = parse_json(body)
    except Invalid as error:
        payload = NotJson(error.message)
    return Call(name or _named_in(receiver.provider, payload), payload)


@dataclass(frozen=True, slots=True)
class NotJson:
    """A body that is not JSON. A template that reads the payload fails with `problem`."""

    problem: str


def _unsigned(_receiver: pb.Receiver, headers: Headers, _body: bytes, _now_s: int) -> str:
    for header in ("webhook-id", "idempotency-key"):
        name = headers.get(header, "").strip('" ')
        if name:
            if not _NAMED.match(name):
                raise _refused(f"{header} must match [A-Za-z0-9._:-]{{1,128}}")
            return name
    return ""


def _standard(receiver: pb.Receiver, headers: Headers, body: bytes, now_s: int) -> str:
    name, given = headers.get("webhook-id", ""), headers.get("webhook-signature", "")
    # Without a dot the signed text `id.time.body` is unambiguous.
    if not _ID.match(name):
        raise _refused("webhook-id is missing or malformed")
    moment = datetime.fromtimestamp(_time(headers, "webhook-timestamp", now_s), UTC)
    try:
        # A body that is not UTF-8 cannot be signed.
        signed = Webhook(receiver.secret).sign(name, moment, body.decode())
    except (UnicodeDecodeError, binascii.Error, ValueError, RuntimeError):
        raise _refused("webhook-signature does not fit") from None
    _one_of(given.split(), signed, "webhook-signature")
    return name


def _github(receiver: pb.Receiver, headers: Headers, body: bytes, _now_s: int) -> str:
    signed = "sha256=" + _hmac(receiver, body)
    _one_of([headers.get("x-hub-signature-256", "")], signed, "x-hub-signature-256")
    # The id of a delivery is not signed, so it does not identify the call.
    return signed


def _stripe(receiver: pb.Receiver, headers: Headers, body: bytes, now_s: int) -> str:
    given = headers.get("stripe-signature", "")
    parts = [part.strip().partition("=") for part in given.split(",")[: SIGNATURES_MAX + 2]]
    times = [value for key, _, value in parts if key == "t"]
    if len(times) != 1:
        raise _refused("stripe-signature is missing or has no time")
    time = _time({"t": times[0]}, "t", now_s)
    signed = _hmac(receiver, b"%d." % time + body)
    _one_of([value for key, _, value in parts if key == "v1"], signed, "stripe-signature")
    return ""


def _slack(receiver: pb.Receiver, headers: Headers, body: bytes, now_s: int) -> str:
    time = _time(headers, "x-slack-request-timestamp", now_s)
    signed = "v0=" + _hmac(receiver, b"v0:%d:" % time + body)
    _one_of([headers.get("x-slack-signature", "")], signed, "x-slack-signature")
    return ""


def _generic(receiver: pb.Receiver, headers: Headers, body: bytes, _now_s: int) -> str:
    header = (receiver.signature_header or DEFAULT_HEADER).lower()
    signed = _hmac(receiver, body)
    _one_of([headers.get(header, "").lower().removeprefix("sha256=")], signed, header)
    return signed


_CHECKS: Final = {
    pb.WEBHOOK_PROVIDER_TYPE_UNSPECIFIED: _unsigned,
    pb.WEBHOOK_PROVIDER_TYPE_STANDARD: _standard,
    pb.WEBHOOK_PROVIDER_TYPE_GITHUB: _github,
    pb.WEBHOOK_PROVIDER_TYPE_STRIPE: _stripe,
    pb.WEBHOOK_PROVIDER_TYPE_SLACK: _slack,
    pb.WEBHOOK_PROVIDER_TYPE_HMAC: _generic,
}
# Members of the signed body that identify a call; a retry has another time.
_NAMES: Final = {
    pb.WEBHOOK_PROVIDER_TYPE_STRIPE: "id",
    pb.WEBHOOK_PROVIDER_TYPE_SLACK: "event_id",
}


def _named_in(provider: pb.WebhookProviderType.ValueType, payload: Any) -> str:
    if provider not in _NAMES:
        return ""
    name = payload.get(_NAMES[provider]) if isinstance(payload, dict) else None
    if isinstance(name, str) and _NAMED.match(name):
        return name
    if isinstance(payload, NotJson):
        return ""
    return hashlib.sha256(dump_json(payload)).hexdigest()


def _time(headers: Headers, header: str, now_s: int) -> int:
    text = headers.get(header, "")
    if not _SECONDS.match(text) or abs(int(text) - now_s) > TOLERANCE_S:
        raise _refused(f"{header} is missing or more than {TOLERANCE_S} s from now")
    return int(text)


def _hmac(receiver: pb.Receiver, signed: bytes) -> str:
    return hmac.new(receiver.secret.encode(), signed, hashlib.sha256).hexdigest()


def _one_of(given: list[str], signed: str, header: str) -> None:
    if len(given) > SIGNATURES_MAX:
        raise _refused(f"{header} has more than {SIGNATURES_MAX} signatures")
    expected = signed.encode()
    found = [hmac.compare_digest(each.encode("utf-8", "replace"), expected) for each in given]
    if not any(found):
        raise _refused(f"{header} does not fit")


def _refused(what: str) -> Unauthenticated:
    return Unauthenticated("WEBHOOK_UNAUTHENTICATED", f"the webhook call is rejected: {what}")
