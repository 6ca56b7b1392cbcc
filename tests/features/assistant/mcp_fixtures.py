"""The tools, resources and prompts that the conformance suite of MCP asks for by name."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid, NotFound
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.requests import Request
from flowmesh.gateway.routes.mcp.server import McpServer, Params

# One red pixel, and a tenth of a second without sound.
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJg"
    "gg=="
)
_SAMPLES = bytes([128] * 800)
_HEAD = b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data"
_SIZE = len(_SAMPLES).to_bytes(4, "little")
WAV = base64.b64encode(
    b"RIFF" + (36 + len(_SAMPLES)).to_bytes(4, "little") + _HEAD + _SIZE + _SAMPLES
).decode()
IMAGE: Json = {"type": "image", "data": PNG, "mimeType": "image/png"}
STATIC = "test://static-"
TEMPLATE = "test://template/{id}/data"


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def embedded(uri: str, media_type: str, words: str) -> Json:
    return {"type": "resource", "resource": {"uri": uri, "mimeType": media_type, "text": words}}


@dataclass(frozen=True)
class FixtureTool:
    """A tool without arguments that returns its content; without content it fails."""

    name: str
    content: tuple[Json, ...] = ()
    changes: bool = False

    @property
    def described(self) -> Mapping[str, Json]:
        schema: Json = {"type": "object", "properties": {}}
        return {"name": self.name, "description": "A fixture", "inputSchema": schema}

    async def result(self, _backends: Backends, _request: Request, _arguments: Params) -> Params:
        if not self.content:
            raise Invalid("REQUEST_INVALID", "This tool intentionally returns an error for testing")
        return {"content": list(self.content), "isError": False}


class FixtureResources:
    """A text, an image, and the documents of a template."""

    def listed(self) -> list[Json]:
        kinds = {"text": "text/plain", "binary": "image/png"}
        return [{"uri": STATIC + k, "name": k, "mimeType": v} for k, v in kinds.items()]

    def templates(self) -> list[Json]:
        return [{"uriTemplate": TEMPLATE, "name": "data", "mimeType": "application/json"}]

    async def read(self, _backends: Backends, _request: Request, uri: str) -> list[Json]:
        begin, end = TEMPLATE.split("{id}")
        if uri == f"{STATIC}text":
            words = "This is the content of the static text resource."
            return [{"uri": uri, "mimeType": "text/plain", "text": words}]
        if uri == f"{STATIC}binary":
            return [{"uri": uri, "mimeType": "image/png", "blob": PNG}]
        if uri.startswith(begin) and uri.endswith(end):
            number = uri.removeprefix(begin).removesuffix(end)
            words = f'{{"id":"{number}","templateTest":true,"data":"Data for ID: {number}"}}'
            return [{"uri": uri, "mimeType": "application/json", "text": words}]
        raise NotFound("ROUTE_NOT_FOUND", f"there is no resource {uri!r}")


@dataclass(frozen=True)
class FixturePrompt:
    """Messages, in whose texts arguments are filled in."""

    name: str
    messages: tuple[Json, ...]
    arguments: tuple[str, ...] = field(default=())

    @property
    def described(self) -> Mapping[str, Json]:
        arguments = [{"name": each, "required": True} for each in self.arguments]
        return {"name": self.name, "description": "A fixture", "arguments": arguments}

    def filled(self, arguments: Params) -> Params:
        contents = [_filled(each, arguments) for each in self.messages]
        return {"messages": [{"role": "user", "content": each} for each in contents]}


def _filled(value: Json, arguments: Params) -> Json:
    if isinstance(value, dict):
        return {name: _filled(each, arguments) for name, each in value.items()}
    return value.format(**arguments) if isinstance(value, str) and arguments else value


TOOLS = (
    FixtureTool("test_simple_text", (text("This is a simple text response for testing."),)),
    FixtureTool("test_image_content", (IMAGE,)),
    FixtureTool("test_audio_content", ({"type": "audio", "data": WAV, "mimeType": "audio/wav"},)),
    FixtureTool(
        "test_embedded_resource",
        (
            embedded(
                "test://embedded-resource", "text/plain", "This is an embedded resource content."
            ),
        ),
    ),
    FixtureTool(
        "test_multiple_content_types",
        (
            text("Multiple content types test:"),
            IMAGE,
            embedded(
                "test://mixed-content-resource", "application/json", '{"test":"data","value":123}'
            ),
        ),
    ),
    FixtureTool("test_error_handling"),
)
PROMPTS = (
    FixturePrompt("test_simple_prompt", (text("This is a simple prompt for testing."),)),
    FixturePrompt(
        "test_prompt_with_arguments",
        (text("Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"),),
        ("arg1", "arg2"),
    ),
    FixturePrompt(
        "test_prompt_with_embedded_resource",
        (
            embedded("{resourceUri}", "text/plain", "Embedded resource content for testing."),
            text("Please process the embedded resource above."),
        ),
        ("resourceUri",),
    ),
    FixturePrompt("test_prompt_with_image", (IMAGE, text("Please analyze the image above."))),
)


def fixture_server() -> McpServer:
    """Return a server of the product with the fixtures."""
    tools = {each.name: each for each in TOOLS}
    return McpServer(tools, FixtureResources(), {each.name: each for each in PROMPTS})
