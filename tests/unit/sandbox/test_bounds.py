"""Bounds of calls of the sandbox at their documented values."""

import json

import pytest

from flowmesh.sandbox import Sandbox, SandboxFailure
from flowmesh.sandbox.child import CPU_MS_MAX, PIPELINE_BYTES_MAX, PIPELINE_CPU_MS_MAX

# Far above each bound, so that only the CPU time ends a call.
TIMEOUT_MS = 60_000
PIPELINE = json.dumps({"pipeline": [{"operation": "jq", "program": "def f: f; f"}]}).encode()


def stopped_after(failure: SandboxFailure, cpu_ms: int) -> bool:
    return (failure.class_, failure.reason) == ("ResourceLimit", "CPU_LIMIT") and (
        f"its {cpu_ms // 1_000} s of CPU time" in failure.message
    )


@pytest.mark.long
async def test_an_endless_program_has_so_much_cpu_time() -> None:
    """The call fails at the CPU limit, even if its timeout is longer."""
    async with Sandbox() as sandbox:
        with pytest.raises(SandboxFailure) as caught:
            await sandbox.evaluate("jq", "def f: f; f", None, {}, TIMEOUT_MS)
    assert stopped_after(caught.value, CPU_MS_MAX)


@pytest.mark.long
async def test_an_endless_pipeline_has_so_much_cpu_time() -> None:
    """With its programs, which run in the same process."""
    async with Sandbox() as sandbox:
        with pytest.raises(SandboxFailure) as caught:
            await sandbox.transform(PIPELINE, b"null", TIMEOUT_MS)
    assert stopped_after(caught.value, PIPELINE_CPU_MS_MAX)


@pytest.mark.parametrize(("language", "program"), [("jq", ". + 1"), ("jmespath", "sum([@, `1`])")])
async def test_a_pipeline_evaluates_its_programs(language: str, program: str) -> None:
    """In its own process, which opens no files once it has limited itself."""
    operation = {"operation": language, "program": program}
    async with Sandbox() as sandbox:
        text = json.dumps({"pipeline": [operation]}).encode()
        assert json.loads(await sandbox.transform(text, b"2", TIMEOUT_MS)) == 3


async def test_a_pipeline_has_so_much_input() -> None:
    """One byte more is refused before a process gets it."""
    text = b'"%s"' % (b"x" * (PIPELINE_BYTES_MAX - 2))
    async with Sandbox() as sandbox:
        assert await sandbox.transform(b'{"pipeline": []}', text, TIMEOUT_MS) == text
        with pytest.raises(SandboxFailure, match="larger than 64 MiB") as caught:
            await sandbox.transform(b'{"pipeline": []}', text + b" ", TIMEOUT_MS)
    assert caught.value.class_ == "ResourceLimit"
