"""Calls of webhooks as providers sign them, and everything that is not quite so."""

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook

from flowmesh.api.definition.v1 import trigger_pb2 as pb
from flowmesh.errors import Unauthenticated, UnsupportedMediaType
from flowmesh.triggers import Call, NotJson, verified

NOW = 1_800_000_000
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"id": "evt_1", "event_id": "Ev1", "n": 1}'
JSON = {"content-type": "application/json; charset=utf-8"}
Headers = dict[str, str]
Sign = Callable[[bytes, int], Headers]


def mac(text: bytes) -> str:
    return hmac.new(SECRET.encode(), text, hashlib.sha256).hexdigest()


def standard(body: bytes, at: int) -> Headers:
    signature = Webhook(SECRET).sign("msg_1", datetime.fromtimestamp(at, UTC), body.decode())
    return {"webhook-id": "msg_1", "webhook-timestamp": str(at), "webhook-signature": signature}


def github(body: bytes, _at: int) -> Headers:
    return {"x-hub-signature-256": f"sha256={mac(body)}", "x-github-delivery": "d-1"}


def stripe(body: bytes, at: int) -> Headers:
    signature = mac(f"{at}.".encode() + body)
    return {"stripe-signature": f"t={at},v0=old,v1={'0' * 64},v1={signature}"}


def slack(body: bytes, at: int) -> Headers:
    signature = mac(f"v0:{at}:".encode() + body)
    return {"x-slack-signature": f"v0={signature}", "x-slack-request-timestamp": str(at)}


def generic(body: bytes, _at: int) -> Headers:
    return {"x-shop-signature": mac(body).upper()}


PROVIDERS: dict[str, tuple[int, Sign, bool]] = {
    "standard": (pb.WEBHOOK_PROVIDER_TYPE_STANDARD, standard, True),
    "github": (pb.WEBHOOK_PROVIDER_TYPE_GITHUB, github, False),
    "stripe": (pb.WEBHOOK_PROVIDER_TYPE_STRIPE, stripe, True),
    "slack": (pb.WEBHOOK_PROVIDER_TYPE_SLACK, slack, True),
    "hmac": (pb.WEBHOOK_PROVIDER_TYPE_HMAC, generic, False),
}
ALL = pytest.mark.parametrize("provider", list(PROVIDERS))


def call(provider: str, headers: Headers, body: bytes = BODY, now: int = NOW) -> Call:
    receiver = pb.Receiver(
        provider=PROVIDERS[provider][0],  # type: ignore[arg-type]
        secret=SECRET,
        signature_header="x-shop-signature" if provider == "hmac" else "",
    )
    return verified(receiver, JSON | headers, body, now)


def signed(provider: str, at: int = NOW) -> Headers:
    return PROVIDERS[provider][1](BODY, at)


@ALL
def test_what_is_signed_right_is_taken(provider: str) -> None:
    """With its payload, and with the same name on a redelivery."""
    first = call(provider, signed(provider))
    assert first.payload == json.loads(BODY)
    assert first.name
    assert call(provider, signed(provider), now=NOW + 10).name == first.name


@ALL
def test_what_is_not_is_refused(provider: str) -> None:
    """Nothing signed, another body, another secret, the signature cut or doubled."""
    good = signed(provider)
    header = next(name for name in good if "signature" in name)
    wrongs: tuple[tuple[Headers, bytes], ...] = (
        ({}, BODY),
        (good, BODY + b" "),
        (good | {header: good[header][:-1]}, BODY),
        (good | {header: "é" * 10}, BODY),
        (good | {header: " ".join([good[header] + "x"] * 1_000)}, BODY),
    )
    for headers, body in wrongs:
        with pytest.raises(Unauthenticated) as refused:
            call(provider, headers, body)
        assert refused.value.reason == "WEBHOOK_UNAUTHENTICATED"


@ALL
@pytest.mark.parametrize("media_type", ["text/plain", "", "application/x-www-form-urlencoded"])
def test_what_is_not_declared_to_be_json_is_of_another_media_type(
    provider: str, media_type: str
) -> None:
    """However well it is signed."""
    with pytest.raises(UnsupportedMediaType) as refused:
        call(provider, signed(provider) | {"content-type": media_type})
    assert refused.value.http_status == 415


@pytest.mark.parametrize("provider", [name for name, about in PROVIDERS.items() if about[2]])
@pytest.mark.parametrize("off", [-301, 301, 10**9])
def test_times_far_from_now_are_refused(provider: str, off: int) -> None:
    """A signed time may differ by five minutes."""
    with pytest.raises(Unauthenticated):
        call(provider, signed(provider, NOW + off))
    assert call(provider, signed(provider, NOW - 300)).name


@pytest.mark.parametrize("name", ["a.b", "", "a b", "x" * 129])
def test_ids_that_could_be_read_in_two_ways_are_refused(name: str) -> None:
    """A dot in the id moves the border to the time that is signed behind it."""
    headers = signed("standard") | {"webhook-id": name}
    if name:
        moment = datetime.fromtimestamp(NOW, UTC)
        headers["webhook-signature"] = Webhook(SECRET).sign(name, moment, BODY.decode())
    with pytest.raises(Unauthenticated):
        call("standard", headers)


def test_a_thousand_signatures_are_refused_unseen() -> None:
    """Two secrets while one changes are two signatures; sixteen are the most."""
    good = signed("standard")["webhook-signature"]
    taken = signed("standard") | {"webhook-signature": f"v1,AAAA {good}"}
    assert call("standard", taken).name == "msg_1"
    many = signed("standard") | {"webhook-signature": f"{good} " * 1_000}
    with pytest.raises(Unauthenticated, match="more than 16"):
        call("standard", many)


def test_a_delivery_id_that_is_not_signed_does_not_name_a_call() -> None:
    """Otherwise a replay of one call could pass as another."""
    first = call("github", signed("github"))
    again = call("github", signed("github") | {"x-github-delivery": "d-2"})
    assert again.name == first.name


def test_stripe_and_slack_name_their_calls_in_the_body() -> None:
    """They send the same again with another time."""
    assert call("stripe", signed("stripe")).name == "evt_1"
    assert call("slack", signed("slack", NOW + 60)).name == "Ev1"


def test_without_a_secret_the_caller_names_the_call() -> None:
    """Without a name each call is distinct; a body that is not JSON fails where it is read."""
    receiver = pb.Receiver()
    assert verified(receiver, JSON, BODY, NOW).name == ""
    named = verified(receiver, JSON | {"idempotency-key": '"k-1"'}, BODY, NOW)
    assert named.name == "k-1"
    assert isinstance(verified(receiver, JSON, b"{", NOW).payload, NotJson)


def test_nothing_of_a_body_is_dropped_or_rounded() -> None:
    """A duplicate key is reported with its path, and so is an integer beyond 64 bits."""
    receiver = pb.Receiver()
    twice = verified(receiver, JSON, b'{"order": {"n": 1, "n": 2}}', NOW).payload
    assert isinstance(twice, NotJson)
    assert "order.n" in twice.problem
    large = {"n": 2**64 - 1}
    assert verified(receiver, JSON, json.dumps(large).encode(), NOW).payload == large
    beyond = verified(receiver, JSON, b'{"order": {"n": 18446744073709551616}}', NOW).payload
    assert isinstance(beyond, NotJson)
    assert "order.n" in beyond.problem
