"""Streams of model services: what the adapters make of whole, cut, endless and broken ones."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from flowmesh.egress import OPEN, Egress
from flowmesh.models.claude import ClaudeProvider
from flowmesh.models.openai import OpenAiProvider
from flowmesh.models.port import (
    Conversation,
    Message,
    Provider,
    ProviderFailed,
    Text,
    ToolUse,
    Turn,
    Usage,
)
from flowmesh.models.services import Service
from tests.features.assistant.models import (
    Answer,
    Break,
    Fail,
    Flow,
    Models,
    Raise,
    Say,
    Use,
    serving_models,
)

USED = Usage(100, 10)
ARGUMENTS = {"a": 1, "text": "ä \u2028 [DONE]"}
FAULTS: list[tuple[Answer, str]] = [
    (Break(), "NetworkError"),
    (Break(clean=True), "NetworkError"),
    (Flow(), "MalformedAnswer"),
    (Flow(slow=True), "Timeout"),
    (Raise("overloaded_error"), "ServerError"),
    (Raise("rate_limit_error"), "RateLimitError"),
    (Raise("authentication_error"), "AuthenticationError"),
    (Raise("invalid_request_error"), "ClientError"),
    (Use("add", ARGUMENTS, half=True), "MalformedAnswer"),
    (Say("x" * 1_100_000), "MalformedAnswer"),
    (Fail(529), "ServerError"),
    (Fail(429, {"retry-after": "7"}), "RateLimitError"),
]
BOTH = pytest.mark.parametrize("name", ["claude", "openai"])


@pytest.fixture(scope="module")
async def models() -> AsyncIterator[Models]:
    async with serving_models() as serving:
        yield serving


@pytest.fixture(scope="module")
async def providers(models: Models) -> AsyncIterator[dict[str, Provider]]:
    async with Egress(OPEN) as egress:
        yield {
            "claude": ClaudeProvider(egress, Service(models.url, "m")),
            "openai": OpenAiProvider(egress, Service(f"{models.url}/v1", "m")),
        }


async def turn(provider: Provider, *, timeout_ms: int = 20_000) -> Turn:
    messages = [Message("user", [Text("hi")])]
    return await provider.turn(Conversation("system", messages, (), timeout_ms=timeout_ms))


async def test_the_streams_of_the_stub_are_what_the_official_clients_expect(
    models: Models,
) -> None:
    """Both assemble its text, its calls and its usage from events."""
    messages: Any = [{"role": "user", "content": "add"}]
    claude = AsyncAnthropic(api_key="x", base_url=models.url, max_retries=0)
    models.script(Use("add", ARGUMENTS))
    async with claude.messages.stream(model="m", max_tokens=10, messages=messages) as stream:
        message = await stream.get_final_message()
    used: Any = message.content[0]
    assert (used.input, message.usage.input_tokens) == (ARGUMENTS, 100)
    assert (message.usage.output_tokens, message.stop_reason) == (10, "tool_use")
    chat = AsyncOpenAI(api_key="x", base_url=f"{models.url}/v1", max_retries=0)
    options: Any = {"include_usage": True}
    async with chat.chat.completions.stream(
        model="m", messages=messages, stream_options=options
    ) as chunks:
        completion = await chunks.get_final_completion()
    call: Any = (completion.choices[0].message.tool_calls or [])[0]
    assert '"a": 1' in call.function.arguments
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == 100


@BOTH
@pytest.mark.parametrize("streams", [True, False])
async def test_an_answer_is_the_same_with_and_without_a_stream(
    models: Models, providers: dict[str, Provider], name: str, streams: bool
) -> None:
    """Text, calls, usage, refusal and limit; a service may ignore that a stream is asked for."""
    models.streams = streams
    try:
        models.script(Say("Hello, you."))
        assert await turn(providers[name]) == Turn([Text("Hello, you.")], USED)
        assert models.requests[-1]["stream"] is True
        models.script(Use("add", ARGUMENTS))
        (call,) = (await turn(providers[name])).blocks
        assert isinstance(call, ToolUse)
        assert (call.name, call.arguments) == ("add", ARGUMENTS)
        models.script(Say("no", refusal=True))
        assert (await turn(providers[name])).refused
        models.script(Say("and so on", cut=True))
        assert (await turn(providers[name])).cut
    finally:
        models.streams = True


@BOTH
async def test_a_call_that_reaches_the_limit_of_tokens_is_an_answer_that_is_cut(
    models: Models, providers: dict[str, Provider], name: str
) -> None:
    """It is paid, and its half of arguments is no call."""
    models.script(Use("add", ARGUMENTS, half=True, cut=True))
    assert await turn(providers[name]) == Turn([], USED, cut=True)


@BOTH
@pytest.mark.parametrize(("answer", "class_"), FAULTS, ids=lambda each: repr(each)[:40])
async def test_a_fault_ends_in_its_class(
    models: Models, providers: dict[str, Provider], name: str, answer: Answer, class_: str
) -> None:
    """Within its bounds of bytes and time, and with the wait that the service asks for."""
    models.script(answer)
    with pytest.raises(ProviderFailed) as failed:
        await turn(providers[name], timeout_ms=500 if answer == Flow(slow=True) else 20_000)
    assert failed.value.class_ == class_, failed.value
    assert failed.value.retry_after_ms == (
        7_000 if isinstance(answer, Fail) and answer.headers else 0
    )
