"""Methods of a part under a name of the whole, such as `client.get_workflow`."""

from collections.abc import Callable
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

P = ParamSpec("P")
R = TypeVar("R")


class Alias(Generic[P, R]):
    """A class attribute that forwards to the method of a part, with the signature of the method.

    `get_workflow = Alias(WorkflowCalls.get, of="workflows")` makes `client.get_workflow` the same
    as `client.workflows.get`.
    """

    def __init__(self, method: Callable[Concatenate[Any, P], R], *, of: str) -> None:
        self.method = method
        self.part = of
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, whole: None, owner: type) -> Callable[..., R]: ...
    @overload
    def __get__(self, whole: object, owner: type) -> Callable[P, R]: ...
    def __get__(self, whole: object | None, owner: type) -> Callable[..., R]:
        if whole is None:
            return self.method  # for `help(Client)`
        forwarded: Callable[P, R] = getattr(getattr(whole, self.part), self.method.__name__)
        return forwarded
