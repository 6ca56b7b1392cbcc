"""The child process that runs users' code of one language, one call at a time.

It imports nothing but the interpreter and a few built-in modules, so that it starts in
milliseconds and stays small. A request is one frame on stdin, the answer one frame on stdout;
end of input ends the process. Frames are four bytes of length and their content. A request is
the limit in milliseconds, then code, variables (a JSON object) and an argument of the language,
each as a frame: the proxied steps (a JSON array) for JavaScript, the input value for the others (jq
without one only compiles). A response is its length, the milliseconds of CPU time, a status byte
and text. The children of conditions and pipelines import the libraries that compile them.
"""

import os
import signal
import struct
import sys
import time
from collections.abc import Callable
from typing import Any, BinaryIO

HEAP_BYTES_MAX = 64 * 1024 * 1024
STACK_BYTES_MAX = 512 * 1024
CPU_MS_MAX = 5_000
PIPELINE_CPU_MS_MAX = 10_000
# JavaScript is interrupted at its limit; the process ends if it does not notice.
CPU_GRACE_MS = 200
RESULT_BYTES_MAX = 4 * 1024 * 1024
PIPELINE_BYTES_MAX = 64 * 1024 * 1024
# Includes the printed text of Python.
ANSWER_BYTES_MAX = RESULT_BYTES_MAX + 128 * 1024
# JavaScript has a lower limit of its own; jq and JMESPath have none and die at this one. Python
# limits each run itself.
ADDRESS_SPACE_BYTES_MAX = {
    "javascript": 1024 * 1024 * 1024,
    "jq": 512 * 1024 * 1024,
    "jmespath": 512 * 1024 * 1024,
    "jsonata": 512 * 1024 * 1024,
    "condition": 1024 * 1024 * 1024,
    "pipeline": 2 * 1024 * 1024 * 1024,
    "saml": 1024 * 1024 * 1024,
}
# The processes of the suite go first.
NICE = 10
COMPILED_MAX = 100
OPEN_FILES_MAX = 3
PENDING_JOBS_MAX = 100_000

Evaluate = Callable[[int, str, str, str], tuple[bytes, bytes]]

# The name of the error whose message is a RemoteFailure as JSON.
PIPELINE_FAILED = "PipelineFailed"
VALUE, USER_ERROR, TIMEOUT, MEMORY, TOO_LARGE, CPU = b"V", b"E", b"T", b"M", b"L", b"C"

# Runs before the user's code and keeps its own JSON and String. Errors are returned as values.
# `result` of a step: on an object without one a hidden getter, on a number, text or boolean the
# strict getter of its prototype, which yields the primitive itself.
PRELUDE = """
(function () {
  "use strict";
  const { parse, stringify } = JSON;
  const text = String, Internal = InternalError;
  const { keys: ownKeys, defineProperty: define, setPrototypeOf } = Object;
  const own = Function.prototype.call.bind(Object.prototype.hasOwnProperty);
  const proxied = { get() { return this; }, enumerable: false, configurable: true };
  // Answers are what stringify wrote and nothing joined to it: the binding cannot read joined text.
  // Their lists have no prototype to which code could have given a toJSON.
  const bare = (...items) => setPrototypeOf(items, null);
  const failure = (error) => {
    try {
      const named = error instanceof Error;
      const name = named ? text(error.name) : "Error";
      const message = text(named ? error.message : error).slice(0, 1000);
      return stringify(bare("E", bare(name, message)));
    } catch { return stringify(bare("E", bare("Error", ""))); }
  };
  const written = (value) => stringify(bare("V", value));
  return function (run, variables, steps) {
    try {
      const scope = parse(variables), context = scope.context;
      for (const step of parse(steps)) {
        for (const kind of [Number, String, Boolean]) define(kind.prototype, "result", proxied);
        const output = context && own(context, step) ? context[step] : undefined;
        if (typeof output === "object" && output !== null && !own(output, "result"))
          define(output, "result", proxied);
      }
      const value = run(...ownKeys(scope).map((name) => scope[name]));
      if (!(value instanceof Promise)) return written(value);
      const settled = { answer: "" };
      value.then(
        (result) => { try { settled.answer = written(result); }
                      catch (error) { settled.answer = failure(error); } },
        (error) => { settled.answer = failure(error); });
      return () => settled.answer;
    } catch (error) {
      if (error === null || error instanceof Internal) throw error;
      return failure(error);
    }
  };
})()
"""


# Functions of jq's command line without a meaning here are errors. The output is written as text
# because the binding would convert every large number to a float.
JQ_WRAPPED = (
    'def input: error("the only input is what stands at ."); def halt_error: error; '
    'def halt_error($code): error; def halt: error("there is nothing to halt"); '
    "({program}\n) | tojson"
)


def main() -> None:
    language, interpreter_folder = sys.argv[1:]
    sys.path.append(interpreter_folder)
    evaluate = INTERPRETERS[language]()
    if language in ADDRESS_SPACE_BYTES_MAX:
        limit_process(ADDRESS_SPACE_BYTES_MAX[language])
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    cpu_ms = CPU_TIME_MS_MAX.get(language, 0)
    while (request := read_request(requests)) is not None:
        before = cpu_used_ms()
        end_after(cpu_ms)
        status, text = evaluate(*request)
        end_after(0)
        answers.write(struct.pack(">II", len(text) + 1, cpu_used_ms() - before) + status + text)
        answers.flush()


def cpu_used_ms() -> int:
    """Return the CPU time of this process and of its forks that ended."""
    of_forks = os.times()
    return int((time.process_time() + of_forks.children_user + of_forks.children_system) * 1000)


def end_after(cpu_ms: int) -> None:
    """End the process by SIGPROF after this CPU time; 0 is never."""
    if hasattr(signal, "setitimer"):  # not on Windows
        signal.setitimer(signal.ITIMER_PROF, cpu_ms / 1000)


def limit_process(address_space_bytes_max: int) -> None:
    """Limit the process in addition to the interpreter: no files, no core dump, bounded memory."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    os.nice(NICE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES_MAX, OPEN_FILES_MAX))
    resource.setrlimit(resource.RLIMIT_AS, (address_space_bytes_max, address_space_bytes_max))


def read_request(stream: BinaryIO) -> tuple[int, str, str, str] | None:
    limit = stream.read(4)
    if len(limit) < 4:
        return None
    texts = []
    for _ in range(3):
        length = stream.read(4)
        if len(length) < 4:
            return None
        texts.append(stream.read(struct.unpack(">I", length)[0]).decode())
    return struct.unpack(">I", limit)[0], texts[0], texts[1], texts[2]


def javascript() -> Evaluate:
    import _quickjs  # type: ignore[import-not-found]

    return lambda *request: run_javascript(_quickjs, *request)


def run_javascript(
    quickjs: Any, limit_ms: int, code: str, variables: str, steps: str
) -> tuple[bytes, bytes]:
    context = quickjs.Context()
    context.set_memory_limit(HEAP_BYTES_MAX)
    context.set_max_stack_size(STACK_BYTES_MAX)
    context.set_time_limit(min(limit_ms, CPU_MS_MAX) / 1000)
    try:
        call = context.eval(PRELUDE)
        answer = call(context.eval(code), variables, steps)
        if not isinstance(answer, str):
            answer = settle(context, answer)
    except quickjs.StackOverflow:
        return USER_ERROR, b'["RangeError","Maximum call stack size exceeded"]'
    except quickjs.JSException as error:
        status, said = failure(str(error))
        return (CPU, b"") if status == TIMEOUT and limit_ms >= CPU_MS_MAX else (status, said)
    text: bytes = answer.encode("utf-8", "replace")
    kind, value = text[2:3], text[5:-1]
    return (TOO_LARGE, b"") if len(value) > RESULT_BYTES_MAX else (kind, value)


def settle(context: Any, answer: Any) -> str:
    """Run the jobs of a promise; nothing outside the code can settle it."""
    for _ in range(PENDING_JOBS_MAX):
        text: str = answer()
        if text or not context.execute_pending_job():
            break
    return answer() or '["E",["Error","the returned promise never settles"]]'


def failure(text: str) -> tuple[bytes, bytes]:
    """Return the failure of the interpreter: out of time, out of memory, or a syntax error."""
    first = text.partition("\n")[0]
    if first == "InternalError: interrupted":
        return TIMEOUT, b""
    if first in {"null", "InternalError: out of memory", "InternalError: string too long"}:
        return MEMORY, b""
    quoted = first.replace("\\", "\\\\").replace('"', '\\"')
    name, _, message = quoted.partition(": ")
    return USER_ERROR, f'["{name}","{message}"]'.encode()


def jq() -> Evaluate:
    import json

    import jq as interpreter

    def refused(text: str) -> tuple[bytes, bytes]:
        first = text.partition("\n")[0].removeprefix("jq: error: ").rstrip(":")
        return named("SyntaxError", first.replace(" at <top-level>, ", ", at "))

    def named(name: str, message: str) -> tuple[bytes, bytes]:
        return USER_ERROR, json.dumps([name, message[:1000]]).encode()

    def run_jq(_limit_ms: int, code: str, variables: str, value: str) -> tuple[bytes, bytes]:
        arguments = json.loads(variables)
        try:
            interpreter.compile(code, args=arguments)
        except ValueError as error:
            return refused(str(error))
        try:
            program = interpreter.compile(JQ_WRAPPED.format(program=code), args=arguments)
        except ValueError:  # only these compile alone but not in brackets
            return named("SyntaxError", "a program has no 'module', 'import' or 'include'")
        if not value:
            return VALUE, b"[]"
        outputs: list[bytes] = []
        size = 2
        try:
            for output in program.input_text(value):
                outputs.append(output.encode())
                size += len(outputs[-1]) + 1
                if size > RESULT_BYTES_MAX:
                    return TOO_LARGE, b""
        except ValueError as error:
            return named("JqError", str(error))
        return VALUE, b"[" + b",".join(outputs) + b"]"

    return run_jq


def jmespath() -> Evaluate:
    import json

    import jmespath as interpreter

    def run_jmespath(_limit_ms: int, code: str, _variables: str, value: str) -> tuple[bytes, bytes]:
        try:
            output = interpreter.compile(code).search(json.loads(value))
            text = json.dumps([output], ensure_ascii=False, allow_nan=False).encode()
        except RecursionError:
            message = "the expression or its result is nested too deeply"
            return USER_ERROR, json.dumps(["JmespathError", message]).encode()
        # A JMESPathError, an invalid JSON number, or an unchecked error of its functions.
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            first = str(error).partition("\n")[0]
            return USER_ERROR, json.dumps(["JmespathError", first[:1000]]).encode()
        return (TOO_LARGE, b"") if len(text) > RESULT_BYTES_MAX else (VALUE, text)

    return run_jmespath


def jsonata() -> Evaluate:
    """Evaluate JSON templates with expressions in `{% %}`, once for each `$states`."""
    import hashlib
    import json
    import random
    import uuid

    from jsonata import Jsonata
    from jsonata.utils import Utils

    def hashed(text: str, algorithm: str) -> str:
        return hashlib.new(algorithm.replace("-", "").lower(), text.encode()).hexdigest()

    def partition(items: list[Any], size: int) -> list[Any]:
        return [items[at : at + size] for at in range(0, len(items), size)]

    # Additions of the States Language to JSONata.
    functions: dict[str, Callable[..., Any]] = {
        "hash": hashed,
        "parse": json.loads,
        "partition": partition,
        "random": lambda seed=None: random.Random(seed).random(),
        "range": lambda first, last, step: list(
            range(first, last + (1 if step > 0 else -1), step)
        ),
        "uuid": lambda: str(uuid.uuid4()),
    }  # fmt: skip

    def evaluated(text: str, bindings: dict[str, Any]) -> Any:
        expression = Jsonata(text[2:-2].strip())
        expression.set_output_convert_nulls(False)
        for name, function in functions.items():
            expression.register_lambda(name, function)
        found = expression.evaluate(None, bindings)
        if found is None:
            raise ValueError(f"{text[:200]} has no value")
        return Utils.convert_nulls(found)

    def filled(template: Any, bindings: dict[str, Any]) -> Any:
        if isinstance(template, str):
            return evaluated(template, bindings) if template.startswith("{%") else template
        if isinstance(template, list):
            return [filled(item, bindings) for item in template]
        if isinstance(template, dict):
            return {key: filled(item, bindings) for key, item in template.items()}
        return template

    def run_jsonata(_limit_ms: int, code: str, variables: str, value: str) -> tuple[bytes, bytes]:
        template, bindings = json.loads(code), json.loads(variables)
        try:
            made = [filled(template, {**bindings, "states": each}) for each in json.loads(value)]
            text = json.dumps(made, ensure_ascii=False, allow_nan=False).encode()
        except RecursionError:
            message = "the expression or its result is nested too deeply"
            return USER_ERROR, json.dumps(["JsonataError", message]).encode()
        # A JException, or an unchecked error of its functions.
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError,
                ValueError) as error:  # fmt: skip
            first = str(error).partition("\n")[0]
            return USER_ERROR, json.dumps(["JsonataError", first[:1000]]).encode()
        return (TOO_LARGE, b"") if len(text) > RESULT_BYTES_MAX else (VALUE, text)

    return run_jsonata


def python() -> Evaluate:
    import confined  # type: ignore[import-not-found]  # beside this file

    confined.prepare()
    run: Evaluate = confined.run_python
    return run


def condition() -> Evaluate:
    """Evaluate conditions that would block the event loop, with the code that compiles them.

    Their library is loaded by name, because it depends on this one.
    """
    import json
    from importlib import import_module

    evaluator = import_module("flowmesh.expressions.evaluator").Evaluator(COMPILED_MAX)

    def run_condition(_limit_ms: int, code: str, _: str, value: str) -> tuple[bytes, bytes]:
        holds, error = evaluator.evaluate(code, value)
        if error:
            return USER_ERROR, json.dumps(["RenderError", error]).encode()
        return VALUE, b"true" if holds else b"false"

    return run_condition


def pipeline() -> Evaluate:
    """Run pipelines of transforms, whose programs in jq and JMESPath are evaluated here too."""
    import json
    from importlib import import_module

    runner = import_module("flowmesh.transforms.remote").Runner(
        COMPILED_MAX, {"jq": jq(), "jmespath": jmespath()}
    )

    def run_pipeline(_limit_ms: int, code: str, _: str, value: str) -> tuple[bytes, bytes]:
        try:
            text, error = runner.run(code, value)
        except MemoryError:
            return MEMORY, b""
        if error:
            return USER_ERROR, json.dumps([PIPELINE_FAILED, error]).encode()
        return (TOO_LARGE, b"") if len(text) > PIPELINE_BYTES_MAX else (VALUE, text)

    return run_pipeline


def saml() -> Evaluate:
    """Verify messages of SAML providers: XML that strangers have written."""
    import json
    from importlib import import_module

    verifier = import_module("flowmesh.saml.verifier")
    verifier.prepare()

    def run_saml(_limit_ms: int, kind: str, expected: str, message: str) -> tuple[bytes, bytes]:
        try:
            return VALUE, verifier.verified(kind, expected, json.loads(message))
        except verifier.Refused as error:
            return USER_ERROR, json.dumps(["Refused", str(error)]).encode()

    return run_saml


# CPU time of one call; Python limits its own.
CPU_TIME_MS_MAX = {
    "javascript": CPU_MS_MAX + CPU_GRACE_MS,
    "jq": CPU_MS_MAX,
    "jmespath": CPU_MS_MAX,
    "jsonata": CPU_MS_MAX,
    "condition": CPU_MS_MAX,
    "pipeline": PIPELINE_CPU_MS_MAX,
    "saml": CPU_MS_MAX,
}
INTERPRETERS: dict[str, Callable[[], Evaluate]] = {
    "javascript": javascript,
    "jq": jq,
    "jmespath": jmespath,
    "jsonata": jsonata,
    "python": python,
    "condition": condition,
    "pipeline": pipeline,
    "saml": saml,
}


if __name__ == "__main__":
    main()
