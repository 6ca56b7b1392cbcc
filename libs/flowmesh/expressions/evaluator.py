"""Evaluation of conditions in a child process of the sandbox."""

import orjson

from flowmesh.expressions.conditions import Condition, compile_condition
from flowmesh.expressions.errors import RenderError


class Evaluator:
    """Evaluates conditions over JSON; compiled ones are cached."""

    def __init__(self, compiled_max: int) -> None:
        self._compiled_max = compiled_max
        self._compiled: dict[str, Condition] = {}

    def evaluate(self, text: str, data: str) -> tuple[bool, str]:
        """Return whether a condition holds, and the error if it cannot be evaluated.

        `text` is a JSON object with `source`, `dialect`, `steps` and `roots`; each root has the
        same `data`, as JSON text.
        """
        definition = orjson.loads(text)
        condition = self._compiled.get(text)
        if condition is None:
            condition = compile_condition(
                definition["source"],
                dialect=definition["dialect"],
                steps=definition["steps"],
                roots=definition["roots"],
            )
            assert condition is not None
            if len(self._compiled) >= self._compiled_max:
                self._compiled.clear()
            self._compiled[text] = condition
        try:
            return condition.evaluate(dict.fromkeys(definition["roots"], orjson.loads(data))), ""
        except RenderError as error:
            return False, str(error)
