"""Bounds of logins at the providers of a company."""

import base64
from typing import Any, cast

import msgspec
import pytest

from flowmesh.access.sealing import Sealer
from flowmesh.egress import OPEN, Egress
from flowmesh.identity.limits import LOGIN_S, PROVIDER_TOKEN_BYTES_MAX
from flowmesh.identity.login import logins
from flowmesh.identity.openid.client import OpenIdConnect
from flowmesh.identity.openid.errors import LoginRefused

SEALER = Sealer(b"k" * 32)


class Clock:
    def __init__(self, us: int) -> None:
        self.us = us

    def now_us(self) -> int:
        return self.us


async def test_tokens_of_providers_are_bounded() -> None:
    """Before anything of one is read."""
    oidc = OpenIdConnect(Egress(OPEN))
    with pytest.raises(LoginRefused, match="too long"):
        await oidc._verified(cast("Any", None), "x" * (PROVIDER_TOKEN_BYTES_MAX + 1), ())


@pytest.mark.parametrize("late_us", [0, 1])
def test_a_login_is_completed_in_time(late_us: int) -> None:
    """Its cookie has the time of its start."""
    clock = Clock(LOGIN_S * 1_000_000 + late_us)
    parts: Any = dict.fromkeys(
        ("store", "oidc", "saml", "hooks", "sessions", "accounts", "attempts")
    )
    made = logins.Logins(
        sealer=SEALER, pepper=b"", public_url="", clock=cast("Any", clock), **parts
    )
    begun = logins._Begun("idp_1", "state", "/", "http://localhost/", 0)
    sealed = SEALER.seal(msgspec.json.encode(begun), logins._PLACE)
    binding = base64.urlsafe_b64encode(sealed).decode()
    if not late_us:
        assert made._begun(binding, "idp_1", "state") == begun
        return
    with pytest.raises(LoginRefused, match="ten minutes"):
        made._begun(binding, "idp_1", "state")
