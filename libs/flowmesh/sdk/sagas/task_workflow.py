"""The built-in saga of several tasks."""

from collections.abc import Sequence
from dataclasses import replace

from flowmesh.contract.json_value import Json
from flowmesh.sdk.sagas.saga import Saga, Step, invalid


class TaskWorkflowSaga(Saga):
    """Runs tasks in their order; if one fails, the completed ones are undone in reverse.

    Commands and compensations of `tasks` are functions, task types or names of tasks.
    """

    def __init__(
        self, name: str, tasks: Sequence[Step], data: Json = None, *, id: str = ""
    ) -> None:
        if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
            raise invalid(f"the name {name!r} must have letters, digits, - and _ only")
        self.name = name
        self._tasks = tuple(tasks)
        super().__init__(data, id=id)

    @property
    def workflow_name(self) -> str:
        return f"{self.saga_name()}-{self.name}"

    def plan(self) -> Sequence[Step]:
        return [replace(each) for each in self._tasks]
