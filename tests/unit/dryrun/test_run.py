"""DryRuns: the engine's own decisions, a clock that runs by itself, and no call."""

import pytest
from msgspec import UNSET

from flowmesh.dryrun import report
from flowmesh.dryrun import run as running
from flowmesh.errors import Invalid
from tests.unit.dryrun.conftest import TASK, WORKFLOW, Run

PAY = TASK % (
    "charge",
    "{type: http, retry: {maxAttempts: 3, initialDelay: 10s, multiplier: 2}, timeout: 5s, "
    'http: {method: POST, url: "https://pay.example/{{input.id}}?token=abc", '
    'headers: {Authorization: "Bearer {{input.key}}", x-id: "{{input.id}}"}, '
    'body: {total: "{{input.total}}", password: "{{input.key}}"}}}',
)
ONE = (
    PAY
    + WORKFLOW
    + (
        "  tasks: [{id: pay, taskRef: charge, "
        'input: {id: o-1, key: k-1, total: "{{input.total}}"}}]\n'
    )
)

DELAYED = WORKFLOW + (
    '  tasks: [{id: a, taskRef: delay, input: {duration: "{{input.span}}"}},\n'
    '    {id: b, taskRef: delay, input: {duration: "{{input.seconds}}s"}}]\n'
)
NOOPS = WORKFLOW + (
    '  tasks: [{id: some, taskRef: noop, input: {k: "{{input.k}}", text: "k is {{input.k}}"}},\n'
    '    {id: all, taskRef: noop, input: "{{input.all}}"}, {id: none, taskRef: noop}]\n'
    '  output: {some: "{{tasks.some.output}}", all: "{{tasks.all.output}}",'
    ' none: "{{tasks.none.output}}"}\n'
)


async def test_a_call_is_reported_and_not_made(run: Run) -> None:
    """Method, url, headers and body as the worker would send them, secrets masked."""
    done = await run(ONE, {"total": 20}, mocks={"pay": {"output": {"paid": True}}})
    assert done.status == "completed"
    assert done.output == {"paid": True}
    (call,) = done.calls
    assert (call.method, call.url) == ("POST", "https://pay.example/o-1?token=***")
    assert call.body == {"total": 20, "password": "***"}
    assert call.headers == {
        "Authorization": "***",
        "x-id": "o-1",
        "Idempotency-Key": "dry-run/pay",
        "Content-Type": "application/json",
    }


async def test_attempts_wait_on_the_virtual_clock(run: Run) -> None:
    """Two failures, then an output: 10 s and 20 s between them, 1 s for the answer."""
    failed = {"failure": {"class": "ServerError", "message": "503"}}
    answers = [failed, failed, {"output": 1, "after": "1s"}]
    done = await run(ONE, {"total": 20}, mocks={"pay": answers})
    assert (done.status, done.duration_ms) == ("completed", 31_000)
    assert [call.at_ms for call in done.calls] == [0, 10_000, 30_000]
    assert done.nodes[0].attempts == 3


async def test_the_last_answer_is_given_again(run: Run) -> None:
    """So one failure is a failure of all attempts."""
    done = await run(ONE, {"total": 1}, mocks={"charge": {"failure": {"class": "ServerError"}}})
    assert done.status == "failed"
    assert done.error
    assert (done.error.class_, done.error.task_id) == ("ServerError", "pay")
    assert len(done.calls) == 3


async def test_an_answer_may_come_too_late(run: Run) -> None:
    """After the timeout of the task, which ends the attempt when it is over."""
    slow = {"output": 1, "after": "1m"}
    done = await run(ONE, {"total": 1}, mocks={"pay": [slow, {"output": 2}]})
    assert (done.status, done.output, done.duration_ms) == ("completed", 2, 15_000)


async def test_a_mock_may_read_its_input(run: Run) -> None:
    """And the number of the attempt."""
    mocks = {"http.request": {"output": {"got": "{{input.total}}", "try": "{{attempt}}"}}}
    done = await run(ONE, {"total": 7}, mocks=mocks)
    assert done.output == {"got": 7, "try": 1}


async def test_without_a_mock_the_schema_answers(run: Run) -> None:
    """With a value that fits; without a schema, with what others read of it."""
    source = (
        TASK % ("rate", "{type: rater, outputSchema: {properties: {rate: {type: number}}}}")
        + TASK % ("other", "{type: other}")
        + WORKFLOW
        + "  tasks: [{id: a, taskRef: rate}, {id: b, taskRef: other}, {id: c, taskRef: noop}]\n"
        + '  output: {a: "{{tasks.a.output.rate}}", b: "{{tasks.b.output.x[1].y}}"}\n'
    )
    done = await run(source)
    assert done.status == "completed", done.error
    assert [node.output_from for node in done.nodes] == ["schema", "use", UNSET]
    assert done.output == {"a": 1, "b": "text"}
    assert [call.type for call in done.calls] == ["rater", "other"]


async def test_a_mock_must_fit_the_schema(run: Run) -> None:
    """As a worker's answer must; the failure says what is wrong."""
    source = (
        TASK % ("rate", "{type: rater, outputSchema: {type: number}}")
        + WORKFLOW
        + "  tasks: [{id: a, taskRef: rate}]\n"
    )
    done = await run(source, mocks={"a": {"output": "many"}})
    assert done.status == "failed"
    assert done.error.class_ == "ValidationError"  # type: ignore[union-attr]
    assert "output" in done.error.message  # type: ignore[union-attr]


async def test_what_has_no_effect_runs(run: Run) -> None:
    """Pipelines, conditions, code in the sandbox; conditions skip what they guard."""
    source = (
        TASK % ("add", "{type: function, function: {code: return input.n + 1}}")
        + WORKFLOW
        + "  tasks:\n"
        + '    - {id: first, taskRef: transform, input: {source: "{{input.l}}",'
        + " pipeline: [{operation: limit, count: 2}]}}\n"
        + '    - {id: sum, taskRef: add, input: {n: 41}, condition: "size(input.l) > 2"}\n'
        + '    - {id: never, taskRef: add, input: {n: 1}, condition: "size(input.l) > 9"}\n'
    )
    done = await run(source, {"l": [1, 2, 3]})
    assert done.node("first").output == [1, 2]  # type: ignore[union-attr]
    assert done.node("sum").output == 42  # type: ignore[union-attr]
    assert (done.path, done.skipped) == (["first", "sum"], ["never"])
    assert done.calls == []


async def test_loops_races_and_signals_run(run: Run) -> None:
    """On the one engine there is: rounds, the winner, and a signal at its time."""
    source = (
        TASK % ("ask", "{type: asker}")
        + WORKFLOW
        + "  tasks:\n"
        + "    - id: poll\n"
        + "      loop:\n"
        + '        while: "state.n < 3"\n'
        + "        state: {n: 0}\n"
        + '        tasks: [{id: ask, taskRef: ask, input: "{{state}}"}]\n'
        + "    - id: first\n"
        + "      dependsOn: [poll]\n"
        + "      race:\n"
        + "        tasks:\n"
        + "          - {id: fast, taskRef: ask}\n"
        + "          - {id: late, taskRef: delay, input: {duration: 1h}}\n"
    )
    mocks = {
        "poll/poll:tasks/ask": {"output": {"n": "{{add(input.n, 1)}}"}},
        "fast": {"output": "won", "after": 5},
    }
    done = await run(source, mocks=mocks)
    assert done.status == "completed", done.error
    assert done.output == "won"
    assert sum(name.endswith("/ask") for name in done.path) == 3
    assert done.node("first[0]/late").status == "canceled"  # type: ignore[union-attr]
    assert done.duration_ms == 5


async def test_a_map_runs_for_each_item(run: Run) -> None:
    """A mock may be for one item."""
    source = (
        PAY
        + WORKFLOW
        + (
            '  tasks: [{id: each, map: {items: "{{input}}", tasks: [{id: one, taskRef: charge, '
            'input: {id: "{{item}}", key: k, total: 1}}]}}]\n'
        )
    )
    mocks = {"one": {"output": "{{input.id}}"}, "each[1]/one": {"output": "another"}}
    done = await run(source, ["a", "b", "c"], mocks=mocks)
    assert done.output == ["a", "another", "c"]


async def test_input_that_does_not_fit_is_refused(run: Run) -> None:
    """As a start is."""
    source = WORKFLOW + "  inputSchema: {required: [id]}\n  tasks: [{id: a, taskRef: noop}]\n"
    with pytest.raises(Invalid) as refused:
        await run(source, {})
    assert refused.value.reason == "INPUT_INVALID"


@pytest.mark.parametrize(
    ("mocks", "places"),
    [
        ({"pey": {"output": 1}}, ["mocks.pey"]),
        ({"pay": {}}, ["mocks.pay"]),
        ({"pay": {"output": 1, "failure": {"class": "A"}}}, ["mocks.pay"]),
        ({"pay": [1]}, ["mocks.pay[0]"]),
        ({"pay": []}, ["mocks.pay"]),
        ({"pay": {"output": 1, "after": "soon"}}, ["mocks.pay.after"]),
        ({"pay": {"output": "{{"}}, ["mocks.pay.output"]),
        ({"pay": {"failure": {"message": "A"}}}, ["mocks.pay.failure.class"]),
        ([], []),
        ([1], ["mocks"]),
    ],
)  # fmt: skip
async def test_wrong_mocks_are_reported_with_their_place(
    run: Run, mocks: object, places: list[str]
) -> None:
    """All of them; a name that nothing has with the one that may have been meant."""
    if not places:
        assert (await run(ONE, {"total": 1}, mocks=mocks)).status == "completed"
        return
    with pytest.raises(Invalid) as refused:
        await run(ONE, {"total": 1}, mocks=mocks)
    assert sorted(v.field for v in refused.value.violations) == places
    if places == ["mocks.pey"]:
        assert "did you mean 'pay'?" in refused.value.message


async def test_equal_dry_runs_have_equal_reports(run: Run) -> None:
    """To the byte: no chance, no clock; and a report survives its own encoding."""
    first = report.encode(await run(ONE, {"total": 1}))
    assert report.encode(await run(ONE, {"total": 1})) == first
    assert report.encode(report.decode(first)) == first


async def test_mocks_that_nothing_used_are_named(run: Run) -> None:
    """A mock of a step that was skipped, or one behind a better name."""
    done = await run(ONE, {"total": 1}, mocks={"pay": {"output": 1}, "charge": {"output": 2}})
    assert (done.output, done.unused_mocks) == (1, ["charge"])


async def test_tasks_of_the_standards_run_around_their_call(run: Run) -> None:
    """The mock answers the call; what the task makes of that is its output."""
    source = (
        'document: {dsl: "1.0.0", namespace: test, name: pet, version: "0.1.0"}\n'
        "do:\n"
        '  - get: {call: http, with: {method: get, endpoint: "https://a.example/1"}}\n'
        '  - keep: {set: {name: "${ .name }"}}\n'
    )
    done = await run(source, mocks={"get": {"output": {"name": "rex", "age": 3}}})
    assert (done.status, done.output) == ("completed", {"name": "rex"})
    assert [(call.method, call.url) for call in done.calls] == [("GET", "https://a.example/1")]
    failed = await run(source, mocks={"get": {"failure": {"class": "NetworkError"}}})
    assert failed.status == "failed"
    machine = (
        '{"StartAt": "A", "States": {"A": {"Type": "Task", "End": true, "Parameters": '
        '{"Method": "POST", "ApiEndpoint": "https://a.example/x", "RequestBody": {"b.$": "$.a"}}, '
        '"Resource": "arn:aws:states:::http:invoke", "OutputPath": "$.ResponseBody"}}}'
    )
    done = await run(machine, {"a": 1}, mocks={"A": {"output": [7]}})
    assert (done.status, done.output) == ("completed", [7])
    assert done.calls[0].body == {"b": 1}


async def test_people_are_stood_in_for(run: Run) -> None:
    """Approvals are given, and held nodes fail."""
    source = (
        TASK % ("ask", "{type: asker, retry: {maxAttempts: 1}}")
        + WORKFLOW
        + "  tasks:\n"
        + "    - {id: ok, approval: {assignees: [ann], deadline: 2h}}\n"
        + "    - {id: yes, taskRef: noop, dependsOn: [{task: ok, on: approved}]}\n"
        + "    - {id: stuck, taskRef: ask, onFailure: HOLD, dependsOn: [yes]}\n"
    )
    mocks = {"stuck": {"failure": {"class": "ServerError", "message": "no"}}}
    done = await run(source, mocks=mocks)
    assert (done.status, done.path) == ("failed", ["ok", "yes", "stuck"])


async def test_a_map_by_pages_runs(run: Run) -> None:
    """Mocks of the task that brings the pages give one each."""
    source = (
        TASK % ("list", "{type: lister}")
        + WORKFLOW
        + "  tasks:\n"
        + "    - id: each\n"
        + "      map: {pages: {taskRef: list}, tasks: [{id: a, taskRef: transform, "
        + 'input: {source: ["{{index}}", "{{item}}"], pipeline: []}}]}\n'
        + '  output: "{{tasks.each.output}}"\n'
    )
    first = {"output": {"items": ["x", "y"], "next": 2}}
    last = {"output": {"items": ["z"]}}
    mocks = {"each[0]/each:page": first, "each[1]/each:page": last}
    done = await run(source, mocks=mocks)
    assert done.status == "completed", done.error
    assert done.output == [[0, "x"], [1, "y"], [2, "z"]]


async def test_one_that_begins_later_takes_as_long_and_has_its_turn(run: Run) -> None:
    """No other execution is queued before a dry run."""
    delayed = ONE.replace("  tasks:", "  start: {delay: 10s, concurrency: 1}\n  tasks:")
    done = await run(delayed, {"total": 20}, mocks={"pay": {"output": 1}})
    assert (done.status, done.duration_ms) == ("completed", 10_000)


async def test_a_run_without_end_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many attempts are made, and no more."""
    source = (
        TASK % ("ask", "{type: asker}")
        + WORKFLOW
        + '  tasks: [{id: poll, loop: {while: "true", tasks: [{id: ask, taskRef: ask}]}}]\n'
    )
    monkeypatch.setattr(running, "ATTEMPTS_MAX", 20)
    with pytest.raises(Invalid, match="exceeds 20 attempts") as refused:
        await run(source, mocks={"ask": {"output": 1}})
    assert refused.value.reason == "MOCKS_INVALID"


@pytest.mark.parametrize(
    ("duration", "took_ms"),
    [("200ms", 200), ("PT5S", 5_000), (1500, 1_500), (0.5, 0.5), ("1d", 86_400_000), ("", None),
     ("5", None), (True, None), (None, None), ("-1s", None), ([1], None), ("367d", None)],
)  # fmt: skip
async def test_a_delay_takes_its_duration_from_the_input(
    run: Run, duration: object, took_ms: float | None
) -> None:
    """In each form that a constant has; anything else fails the delay with the forms."""
    done = await run(DELAYED, {"span": duration, "seconds": 0})
    if took_ms is None:
        assert done.error
        assert done.error.class_ == "ValidationError"
        assert "duration of a: " in done.error.message
    else:
        assert (done.status, done.duration_ms) == ("completed", took_ms)


async def test_the_output_of_a_noop_is_its_input(run: Run) -> None:
    """Rendered, with the types of its references; null without an input."""
    done = await run(NOOPS, {"k": 5, "all": [1, {"x": None}]})
    assert done.output == {
        "some": {"k": 5, "text": "k is 5"}, "all": [1, {"x": None}], "none": None,
    }  # fmt: skip


async def test_a_noop_with_an_input_that_cannot_be_rendered_fails(run: Run) -> None:
    """As every task does."""
    done = await run(NOOPS, {"k": 5})
    assert done.error
    assert (done.status, done.error.class_) == ("failed", "ValidationError")
    assert "input of all" in done.error.message
