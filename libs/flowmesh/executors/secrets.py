"""Secrets of attempts: their values, and their places in inputs."""

import orjson

from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.contract.json_value import Json
from flowmesh.executors.failures import SECRET_UNAVAILABLE, TaskFailure
from flowmesh.expressions import compile_template
from flowmesh.expressions.secrets import ROOT, InputSecret, with_templates


class AttemptSecrets(dict[str, Json]):
    """The secrets that an attempt may use, by `name` or `name#version`.

    Looking up another one raises a TaskFailure with the text of `missing` behind its name.
    """

    def __init__(self, found: dict[str, Json], missing: str) -> None:
        super().__init__(found)
        self._missing = missing

    def __missing__(self, key: str) -> Json:
        raise TaskFailure(SECRET_UNAVAILABLE, f"there is no secret {key!r}: {self._missing}")


NO_SECRETS = AttemptSecrets({}, "the task declares none")


class InputSecrets:
    """The texts of a task's input that stand for secrets."""

    def __init__(self, spec: TaskSpec) -> None:
        self._texts = [
            InputSecret(tuple(orjson.loads(each.path)), each.text) for each in spec.input_secrets
        ]
        self.keys = frozenset(key for text in self._texts for key in text.keys)

    def filled(self, data: bytes, secrets: AttemptSecrets) -> bytes:
        """Return an input with the values of its secrets.

        A text that is not the placeholder at its place is data, and stays as it is.
        """
        holder: dict[str | int, Json] = {"": orjson.loads(data) if data else None}
        for text in self._texts:
            at: Json = holder
            *path, last = ("", *text.path)
            try:
                for key in path:
                    at = at[key]
                is_placeholder = at[last] == text.placeholder
            except (KeyError, IndexError, TypeError):
                continue
            if is_placeholder:
                template = compile_template(with_templates(text.text), (ROOT,))
                at[last] = template.render({ROOT: secrets})
        return orjson.dumps(holder[""])
