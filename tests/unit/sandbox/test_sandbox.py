"""Users' JavaScript: what it may do, what stops it, and what it leaves behind."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from flowmesh.sandbox import Sandbox, SandboxFailure


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(children_max=2) as running:
        yield running


async def failure(
    sandbox: Sandbox, code: str, timeout_ms: int = 5_000, **variables: Any
) -> SandboxFailure:
    with pytest.raises(SandboxFailure) as caught:
        await sandbox.run(code, variables, timeout_ms)
    return caught.value


async def ended(pid: int) -> None:
    """Returns when the process has ended."""
    over = asyncio.Event()
    handle = os.pidfd_open(pid)
    asyncio.get_running_loop().add_reader(handle, over.set)
    try:
        async with asyncio.timeout(5):
            await over.wait()
    finally:
        asyncio.get_running_loop().remove_reader(handle)
        os.close(handle)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("code", "variables", "expected"),
    [
        (
            "return input.map(item => ({ ...item, processed: true }))",
            {"input": [{"id": 1}]},
            [{"id": 1, "processed": True}],
        ),
        (
            "return input.users.map(u => ({ id: u.id, name: u.name }))",
            {"input": {"users": [{"id": 1, "name": "Ada", "age": 36}]}},
            [{"id": 1, "name": "Ada"}],
        ),
        (
            "return input.orders.filter(o => o.status === 'active')",
            {"input": {"orders": [{"status": "active"}, {"status": "done"}]}},
            [{"status": "active"}],
        ),
        ("return [context.a, inputKey]", {"context": {"a": "é😀"}, "inputKey": "k"}, ["é😀", "k"]),
        ("return", {}, None),
        ("", {}, None),
        ("return NaN", {}, None),
        ("return 'a' + 'b'.repeat(100000)", {}, "a" + "b" * 100_000),
        ("return (async () => { await null; return 5 })()", {}, 5),
        ("// a comment at the end\nreturn 1 //", {}, 1),
    ],
)
async def test_code_yields_what_it_returns(
    sandbox: Sandbox, code: str, variables: dict[str, Any], expected: Any
) -> None:
    """The documented transforms run unmodified, and values travel as JSON."""
    assert await sandbox.run(code, variables) == expected


@pytest.mark.parametrize(
    ("code", "class_", "message"),
    [
        ("return input.nope.x", "TypeError", "cannot read property 'x' of undefined"),
        ("throw new RangeError('boom')", "RangeError", "boom"),
        ("throw 'text'", "Error", "text"),
        ("return Promise.reject(new TypeError('later'))", "TypeError", "later"),
        ("return new Promise(() => {})", "Error", "the returned promise never settles"),
        ("return (", "SyntaxError", "unexpected token in expression: '}'"),
        ("(function f() { f() })()", "RangeError", "Maximum call stack size exceeded"),
        ("return 1n", "TypeError", "BigInt are forbidden in JSON.stringify"),
        ("const e = new Error('m'); e.name = 'Timeout'; throw e", "Error", "m"),
        ("const e = new Error('m'); e.name = 'CIRCUIT_OPEN'; throw e", "Error", "m"),
        ("const e = new Error('m'); e.name = 'a\\nb'; throw e", "Error", "m"),
        ("throw {get name() { throw 1 }}", "Error", "[object Object]"),
        ("throw undefined", "Error", "undefined"),
        ("throw new Error('half \\ud800')", "Error", "half ?"),
    ],
)
async def test_an_exception_of_the_code_keeps_its_name(
    sandbox: Sandbox, code: str, class_: str, message: str
) -> None:
    """What the code throws is told by name and message; engine classes cannot be claimed."""
    failed = await failure(sandbox, code, input={})
    assert (failed.class_, failed.message) == (class_, message)


async def test_text_that_is_not_unicode_is_not_repaired(sandbox: Sandbox) -> None:
    """The failure says where it is."""
    failed = await failure(sandbox, "return {a: ['x', 'y\\ud800']}", input={})
    said = "result.a[1] is not Unicode, it has half of a surrogate pair"
    assert (failed.class_, failed.message) == ("ValidationError", said)


@pytest.mark.parametrize(
    "code",
    [
        "while (true) {}",
        "for (;;) { try { while (true) {} } catch {} }",
        "/^(a+)+$/.test('a'.repeat(40) + 'b')",
        "Promise.resolve().then(() => { while (true) {} }); return new Promise(() => {})",
        "return new Array(4294967295).join('x')",
    ],
)
async def test_an_endless_loop_is_stopped_in_time(sandbox: Sandbox, code: str) -> None:
    """Code that does not end fails with Timeout, at the latest when its process is killed."""
    started = time.perf_counter()
    failed = await failure(sandbox, code, 200)
    assert failed.class_ == "Timeout"
    assert time.perf_counter() - started < 2
    assert await sandbox.run("return 1", {}) == 1


@pytest.mark.parametrize(
    "code",
    [
        "const a = []; while (true) a.push(new Array(1000).fill(1))",
        "let s = 'x'; while (true) s += s",
        "return new ArrayBuffer(2e9)",
        "return 'x'.repeat(1e9)",
        "return 'x'.repeat(5e6)",
        "return [...Array(1e7).keys()]",
    ],
)
async def test_an_allocation_bomb_is_stopped(sandbox: Sandbox, code: str) -> None:
    """Code over its memory or with too large a result fails, and the next call is served."""
    failed = await failure(sandbox, code)
    assert failed.class_ == "ResourceLimit"
    assert await sandbox.run("return 1", {}) == 1


async def test_code_reaches_nothing_but_the_language(sandbox: Sandbox) -> None:
    """There are no files, no network, no timers, no modules and no console."""
    names = ["std", "os", "require", "process", "fetch", "setTimeout", "print", "console"]
    names += ["XMLHttpRequest", "WebSocket", "Deno", "scriptArgs", "load"]
    found = await sandbox.run(f"return [{', '.join(f'typeof {name}' for name in names)}]", {})
    assert set(found) == {"undefined"}
    assert (await failure(sandbox, "return import('os')")).class_ == "ReferenceError"


async def test_calls_share_nothing(sandbox: Sandbox) -> None:
    """What one call changes, even of the language itself, the next one does not see."""
    assert (
        await sandbox.run(
            "globalThis.left = 1; Array.prototype.map = 1; JSON.stringify = () => 'x'; return 3", {}
        )
        == 3
    )
    assert await sandbox.run("return [typeof left, [1].map(x => x + 1)]", {}) == ["undefined", [2]]


async def test_steps_answer_to_result_as_well() -> None:
    """A step's value is its output and has `.result`; its own member of that name wins."""
    context = {"n": 150, "s": "a", "b": False, "o": {"v": 1}, "own": {"result": 5}, "l": [7]}
    code = """
      return [context.n.result > 100, context.n > 100, context.n.result === 150,
              context.s.result === "a", context.b.result === false, context.o.result.v,
              context.own.result, context.l.result[0], JSON.stringify(context.o)]
    """
    async with Sandbox() as sandbox:
        assert await sandbox.run(code, {"context": context}, result_of=list(context)) == [
            True, True, True, True, True, 1, 5, 7, '{"v":1}',
        ]  # fmt: skip
        assert await sandbox.run("return [typeof context.n.result]", {"context": context}) == [
            "undefined"
        ]


async def test_a_condition_is_true_or_false(sandbox: Sandbox) -> None:
    """An expression outside CEL's subset holds by JavaScript's truth."""
    context = {"items": [{"price": 5}, {"price": 20}]}
    assert await sandbox.holds("context.items.some(i => i.price > 10)", {"context": context})
    assert not await sandbox.holds("context.items.find(i => i.price > 50)", {"context": context})
    assert await sandbox.holds("context.items // why", {"context": context})


async def test_one_killed_call_does_not_lose_the_others(sandbox: Sandbox) -> None:
    """Of calls that queue for the same children, only the endless one fails."""
    code = "if (input === 3) new Array(4294967295).join('x'); return input"
    results = await asyncio.gather(
        *(sandbox.run(code, {"input": number}, 300) for number in range(10)), return_exceptions=True
    )
    assert [r for r in results if not isinstance(r, BaseException)] == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert isinstance(results[3], SandboxFailure)


async def test_a_crashed_child_is_replaced_unseen() -> None:
    """A call whose process dies under it is answered by a new one."""
    async with Sandbox(children_max=1) as sandbox:
        await sandbox.run("return 1", {})
        (first,) = sandbox.children
        os.kill(first, signal.SIGKILL)
        assert await sandbox.run("return 2", {}) == 2
        (second,) = sandbox.children
        assert second != first


@pytest.mark.parametrize(
    "method", ["toString = () => 1", "toJSON = () => 'x'", "toJSON = () => {}"]
)
async def test_code_that_changes_lists_still_answers(sandbox: Sandbox, method: str) -> None:
    """What code does to the lists of its process does not change how its result is written."""
    assert await sandbox.run(f"Array.prototype.{method}; return 7", {}) == 7
    assert (await failure(sandbox, f"Array.prototype.{method}; null.x")).class_ == "TypeError"


@pytest.mark.parametrize("said", ["a\\tb", "\\u0001", '\\"', "\\\\"])
async def test_an_error_of_the_interpreter_is_passed_on_unchanged(
    sandbox: Sandbox, said: str
) -> None:
    """Its message may hold any character."""
    failed = await failure(
        sandbox, f"const e = new InternalError('{said}'); e.name = 'a\"b'; throw e"
    )
    assert failed.class_ == "Error"


async def test_an_unread_answer_blocks_no_other_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends in the middle of a large answer frees its slot at once."""
    async with Sandbox(children_max=1) as sandbox:
        with monkeypatch.context() as patched:
            patched.setattr("flowmesh.sandbox.process.ANSWER_BYTES_MAX", 1_000)
            async with asyncio.timeout(10):
                failed = await failure(sandbox, "return 'x'.repeat(1_000_000)")
        assert failed.class_ == "ResourceLimit"
        assert await sandbox.run("return 2", {}) == 2


async def test_children_are_bounded_and_started_when_needed() -> None:
    """No process before the first call, never more than allowed, none after the end."""
    async with Sandbox(children_max=2) as sandbox:
        before = sandbox.children
        await asyncio.gather(*(sandbox.run("return 1", {}) for _ in range(8)))
        children = sandbox.children
        assert 1 <= len(children) <= 2
    assert (before, sandbox.children) == ((), ())
    assert not any(alive(pid) for pid in children)


async def test_idle_children_end_by_themselves() -> None:
    """A child without work for a while is ended, and a later call starts a new one."""
    async with Sandbox(children_max=1, idle_seconds=0.05) as sandbox:
        await sandbox.run("return 1", {})
        (pid,) = sandbox.children
        await ended(pid)
        assert await sandbox.run("return 2", {}) == 2


async def test_a_cancelled_call_ends_its_child() -> None:
    """Nobody waits for a cancelled call, so its process is killed and its slot is free again."""
    async with Sandbox(children_max=1) as sandbox:
        await sandbox.run("return 1", {})
        (pid,) = sandbox.children
        call = asyncio.create_task(sandbox.run("while (true) {}", {}, 5_000))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await sandbox.run("return 2", {}, 1_000) == 2
        assert pid not in sandbox.children or not alive(pid)


async def test_closing_ends_running_calls() -> None:
    """Leaving the sandbox fails what still runs with Cancelled, and leaves no process."""
    async with Sandbox(children_max=1) as sandbox:
        await sandbox.run("return 1", {})
        (pid,) = sandbox.children
        call = asyncio.create_task(sandbox.run("while (true) {}", {}, 5_000))
        await asyncio.sleep(0)
    with pytest.raises(SandboxFailure) as caught:
        await call
    assert caught.value.class_ == "Cancelled"
    assert not alive(pid)


async def test_the_event_loop_keeps_turning() -> None:
    """While code burns its time in the child, the loop here does not stall."""
    async with Sandbox(children_max=1) as sandbox:
        await sandbox.run("return 1", {})
        call = asyncio.create_task(sandbox.run("while (true) {}", {}, 300))
        turns = 0
        while not call.done():
            await asyncio.sleep(0)
            turns += 1
        assert turns > 100
        assert isinstance(call.exception(), SandboxFailure)


@pytest.mark.parametrize("name", ["a-b", "1a", "a.b", "", "a){", "x" * 65])
async def test_a_variable_needs_a_name_that_javascript_has(sandbox: Sandbox, name: str) -> None:
    """A name that is no identifier fails the call and says so."""
    with pytest.raises(SandboxFailure, match="not a valid name"):
        await sandbox.run("return 1", {name: 1})


async def test_oversize_requests_are_refused(sandbox: Sandbox) -> None:
    """Code and input have limits too."""
    assert (await failure(sandbox, "/" * 300_000)).class_ == "ResourceLimit"
    assert (await failure(sandbox, "", input="x" * (33 * 1024 * 1024))).class_ == "ResourceLimit"
    assert (await failure(sandbox, "", input=object())).class_ == "ValidationError"
