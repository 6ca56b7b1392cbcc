"""The choice of providers over real connections."""

import pytest

from flowmesh.assistant.offline.provider import DraftConversation, OfflineProvider
from flowmesh.egress import OPEN, Egress
from flowmesh.errors import Unavailable
from flowmesh.models.claude import ClaudeProvider
from flowmesh.models.port import Message, Text, ToolUse
from flowmesh.models.selection import FAILURES_MAX, OPEN_MS, Providers
from flowmesh.models.services import Service
from tests.features.assistant.models import Fail, Use, serving_models

PROMPT = DraftConversation("system", [Message("user", [Text("hi")])], (), prompt="Wait 5 minutes")


async def test_a_provider_that_fails_again_and_again_is_left_out_for_a_while() -> None:
    """No request is made meanwhile; then one is tried, and a success forgets the failures."""
    now = [0.0]
    async with serving_models() as models, Egress(OPEN) as egress:
        claude = ClaudeProvider(egress, Service(models.url, "m"))
        providers = Providers([claude, OfflineProvider()], lambda: now[0])
        models.script(Fail(529))
        for _ in range(FAILURES_MAX):
            assert (await providers.turn(PROMPT)).provider.name == "offline"
        chosen = await providers.turn(PROMPT)
        assert chosen.passed_over == ["claude: left out after ServerError"]
        assert len(models.requests) == FAILURES_MAX
        with pytest.raises(Unavailable, match="left out"):
            await providers.turn(PROMPT, "claude")
        now[0] += OPEN_MS
        models.script(Use("add", {"a": 1}))
        turn = (await providers.turn(PROMPT)).turn
        assert turn.blocks == [ToolUse("toolu_1", "add", {"a": 1})]
        assert providers.listed()[0][1] == ""
