"""The process of a component: loads one source, confines itself, and answers calls.

Started by its file, so it imports nothing of the suite but the confinement, whose folder is its
argument. Frames on standard input and on a copy of standard output are four bytes of length and
JSON. The source runs after the confinement; printed text goes to standard error.
"""

import json
import os
import struct
import sys
from collections import deque
from typing import Any

Json = Any

ERROR_CHARACTERS_MAX = 1_000


class Refused(Exception):
    """The host refused a request of the component."""


class Pipe:
    """Frames from and to the host. Calls that arrive during a request of the component wait."""

    def __init__(self, reads: int, writes: int) -> None:
        self._reads = os.fdopen(reads, "rb")
        self._writes = os.fdopen(writes, "wb")
        self._calls: deque[dict[str, Json]] = deque()

    def call(self) -> dict[str, Json] | None:
        """Return the next call; None at the end of input."""
        return self._calls.popleft() if self._calls else self._frame()

    def send(self, frame: dict[str, Json]) -> None:
        body = json.dumps(frame, ensure_ascii=False, allow_nan=False).encode(
            "utf-8", "surrogatepass"
        )
        self._writes.write(struct.pack(">I", len(body)) + body)
        self._writes.flush()

    def ask(self, capability: str, values: dict[str, Json]) -> Json:
        """Ask the host for something, and wait for its answer. Raises Refused."""
        self.send({"ask": capability, "values": values})
        while (frame := self._frame()) is not None:
            if "answer" in frame:
                if frame.get("error"):
                    raise Refused(str(frame["error"]))
                return frame["answer"]
            self._calls.append(frame)
        raise SystemExit

    def _frame(self) -> dict[str, Json] | None:
        length = self._reads.read(4)
        if len(length) < 4:
            return None
        found: dict[str, Json] = json.loads(self._reads.read(struct.unpack(">I", length)[0]))
        return found


class Host:
    """The name `host` in a component: what its capabilities allow."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    def log(self, message: object, level: str = "info") -> None:
        self._pipe.ask("log", {"message": str(message), "level": level})

    def http(
        self,
        method: str,
        url: str,
        body: Json = None,
        headers: dict[str, str] | None = None,
    ) -> Json:
        """Send a request; return {status, headers, body}."""
        values = {"method": method, "url": url, "body": body, "headers": headers or {}}
        return self._pipe.ask("http", values)

    def publish(self, topic: str, value: Json) -> Json:
        return self._pipe.ask("publish", {"topic": topic, "value": value})

    def get(self, key: str) -> Json:
        return self._pipe.ask("kv", {"key": key})

    def set(self, key: str, value: Json) -> None:
        self._pipe.ask("kv", {"key": key, "value": value, "set": True})

    def secret(self, name: str) -> Json:
        return self._pipe.ask("secrets", {"name": name})


def main() -> None:
    sys.path.append(sys.argv[1])
    import confined  # type: ignore[import-not-found]  # in the folder of the argument

    confined.prepare()
    writes = os.dup(1)
    os.dup2(2, 1)
    pipe = Pipe(0, writes)
    first = pipe.call()
    if first is None:
        return
    try:
        confined.stay_confined(first["memory_bytes"], int(sys.argv[2]))
    except OSError as error:
        pipe.send({"error": ["Unconfined", f"this machine cannot confine Python: {error}"]})
        return
    scope: dict[str, Any] = {"__name__": "component", "host": Host(pipe)}
    try:
        exec(compile(first["source"], "<component>", "exec"), scope)  # noqa: S102 - the purpose
        if callable(scope.get("init")):
            scope["init"](first["config"])
        if callable(scope.get("start")):
            scope["start"]()
        pipe.send({"ready": described(scope)})
    except BaseException as error:  # noqa: BLE001 - any failure of the source is its answer
        pipe.send({"error": failure(error)})
        return
    while (frame := pipe.call()) is not None:
        pipe.send({"id": frame["id"], **answered(scope, frame)})
    if callable(scope.get("stop")):
        scope["stop"]()


def described(scope: dict[str, Any]) -> dict[str, Json]:
    """Return what the source says about itself."""
    name = scope.get("name", scope.get("NAME"))
    contract = scope.get("CONTRACT", scope.get("contract"))
    found = contract() if callable(contract) else contract
    return {
        "name": name() if callable(name) else name,
        "contract": found,
        "health": callable(scope.get("health")),
    }


def answered(scope: dict[str, Any], frame: dict[str, Json]) -> dict[str, Json]:
    """Run a call; return its value or error."""
    try:
        if frame["call"] == "health":
            return {"value": scope["health"]()}
        value = scope["execute"](frame["params"])
        json.dumps(value, allow_nan=False)
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - any failure of the code is its answer
        return {"error": failure(error)}
    return {"value": value}


def failure(error: BaseException) -> list[str]:
    """Return the class and message of an error, with its line."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<component>":
            line = trace.tb_lineno
        trace = trace.tb_next
    try:
        said = str(error)[:ERROR_CHARACTERS_MAX]
    except BaseException:  # noqa: BLE001 - its own code
        said = ""
    return [type(error).__name__, f"{said} (line {line})" if line else said]


if __name__ == "__main__":
    main()
