"""The child process that runs users' JavaScript: started as a script, one call at a time.

It imports nothing but the interpreter and a few built-in modules, so that it starts in
milliseconds and stays small. A request is one frame on stdin, the answer one frame on stdout;
end of input ends the process. Frames are four bytes of length and their content. A request is
the limit of milliseconds, then code, variables (a JSON object) and proxied steps (a JSON array),
each as a frame; an answer is a status byte and text.
"""

import struct
import sys
from typing import Any, BinaryIO

HEAP_BYTES_MAX = 64 * 1024 * 1024
STACK_BYTES_MAX = 512 * 1024
CPU_MS_MAX = 5_000
RESULT_BYTES_MAX = 4 * 1024 * 1024
ADDRESS_SPACE_BYTES_MAX = 1024 * 1024 * 1024
PENDING_JOBS_MAX = 100_000

VALUE, USER_ERROR, TIMEOUT, MEMORY, TOO_LARGE = b"V", b"E", b"T", b"M", b"L"

# Runs before the user's code and keeps its own JSON and String. Errors come back as values.
# `result` of a step: on an object without one a hidden getter, on a number, text or boolean the
# strict getter of its prototype, which yields the primitive itself.
PRELUDE = """
(function () {
  "use strict";
  const { parse, stringify } = JSON;
  const text = String, Internal = InternalError;
  const { keys: ownKeys, defineProperty: define } = Object;
  const own = Function.prototype.call.bind(Object.prototype.hasOwnProperty);
  const proxied = { get() { return this; }, enumerable: false, configurable: true };
  // Answers are what stringify wrote and nothing joined to it: the binding cannot read joined text.
  const failure = (error) => {
    try {
      const named = error instanceof Error;
      const name = named ? text(error.name) : "Error";
      return stringify(["E", [name, text(named ? error.message : error).slice(0, 1000)]]);
    } catch { return stringify(["E", ["Error", ""]]); }
  };
  const written = (value) => stringify(["V", value]);
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


def main() -> None:
    quickjs_folder = sys.argv[1]
    sys.path.append(quickjs_folder)
    import _quickjs  # type: ignore[import-not-found]

    limit_process()
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while (request := read_request(requests)) is not None:
        status, text = evaluate(_quickjs, *request)
        answers.write(struct.pack(">I", len(text) + 1) + status + text)
        answers.flush()


def limit_process() -> None:
    """A second line behind the interpreter's own limits: no files, no core, a bound on memory."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES_MAX, ADDRESS_SPACE_BYTES_MAX))


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


def evaluate(
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
        return failure(str(error))
    text: bytes = answer.encode("utf-8", "replace")
    kind, value = text[2:3], text[5:-1]
    return (TOO_LARGE, b"") if len(value) > RESULT_BYTES_MAX else (kind, value)


def settle(context: Any, answer: Any) -> str:
    """Runs what a promise waits for; nothing outside the code can ever settle one."""
    for _ in range(PENDING_JOBS_MAX):
        text: str = answer()
        if text or not context.execute_pending_job():
            break
    return answer() or '["E",["Error","the returned promise never settles"]]'


def failure(text: str) -> tuple[bytes, bytes]:
    """What the interpreter itself says: out of time, out of memory, or not JavaScript."""
    first = text.partition("\n")[0]
    if first == "InternalError: interrupted":
        return TIMEOUT, b""
    if first in {"null", "InternalError: out of memory", "InternalError: string too long"}:
        return MEMORY, b""
    name, _, message = first.partition(": ")
    quoted = message.replace("\\", "\\\\").replace('"', '\\"')
    return USER_ERROR, f'["{name}","{quoted}"]'.encode()


if __name__ == "__main__":
    main()
