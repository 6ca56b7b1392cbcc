"""Decorators of the SDK: each works with a name, with empty parentheses and without any."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any, get_args, get_overloads, get_type_hints

import pytest

import flowmesh.sdk
from flowmesh.errors import Invalid
from flowmesh.sdk import Client, Repository, Retry, Worker, aggregate, projection, task, workflow
from flowmesh.sdk.workflows.declarations import task_type_of

Decorator = Callable[..., Any]


def handler() -> Callable[..., Any]:
    """A handler that fits every decorator of functions."""

    async def charge_card(first: Any, second: Any) -> None:
        pass

    return charge_card


def _of_task(decorate: Decorator) -> str:
    declared = task_type_of(decorate(handler()))
    assert declared is not None
    return declared.name


def _of_workflow(decorate: Decorator) -> str:
    def charge_card(flow: Any) -> None:
        pass

    name: str = decorate(charge_card).name
    return name


def _of_projection(decorate: Decorator) -> str:
    name: str = decorate(handler()).name
    return name


def _of_aggregate(decorate: Decorator) -> str:
    class ChargeCard:
        pass

    stream = Repository(Client(), decorate(ChargeCard)).stream("1")
    return stream.removesuffix("-1")


def _of_worker(worker: Worker, decorate: Decorator) -> str:
    own = handler()
    assert decorate(own) is own
    (task_type,) = worker.task_types
    return task_type


def cases() -> Iterator[tuple[Decorator, Callable[[Decorator], str], str]]:
    """Return each decorator, the name that it gives, and the default of that name."""
    yield task, _of_task, "charge-card"
    yield workflow, _of_workflow, "charge-card"
    yield projection, _of_projection, "charge-card"
    yield aggregate, _of_aggregate, "charge_card"
    for name in ("task", "durable"):
        worker = Worker()

        def named(decorate: Decorator, worker: Worker = worker) -> str:
            return _of_worker(worker, decorate)

        yield getattr(worker, name), named, "charge-card"


COUNT = len(list(cases()))


@pytest.mark.parametrize("index", range(COUNT))
def test_a_decorator_takes_the_name_of_what_it_decorates(index: int) -> None:
    """With and without parentheses; a given name wins."""
    for given, expected in (((), ""), (None, ""), (("own",), "own")):
        decorator, named, default = list(cases())[index]
        decorate = decorator if given is None else decorator(*given)
        assert named(decorate) == (expected or default)


def decorators() -> Iterator[str]:
    """Return the public functions and methods that return a decorator."""
    for name in flowmesh.sdk.__all__:
        found = getattr(flowmesh.sdk, name)
        functions = {name: found}
        if inspect.isclass(found):
            members = inspect.getmembers(found, inspect.isfunction)
            functions = {f"{name}.{each}": value for each, value in members if each[0] != "_"}
        yield from (where for where, function in functions.items() if _decorates(function))


def _decorates(function: Any) -> bool:
    if not inspect.isfunction(function):
        return False
    try:
        returned = get_type_hints(function).get("return")
    except NameError:  # a type that is known to type checkers alone
        return False
    return any(
        isinstance(taken := next(iter(get_args(each)), None), list) and len(taken) == 1
        for each in (returned, *get_args(returned))
    )


def test_every_decorator_is_tried_here() -> None:
    """A further one needs its case, and its overload without parentheses."""
    found = set(decorators())
    assert found == {"task", "workflow", "projection", "aggregate", "Worker.task", "Worker.durable"}
    assert all(len(get_overloads(decorator)) == 2 for decorator, *_ in cases())


def test_a_worker_serves_the_declared_type() -> None:
    """`@worker.task` above `@task("own")` keeps that name."""
    worker = Worker()
    worker.task(task("own")(handler()))
    assert worker.task_types == ("own",)


def test_options_of_the_workflow_are_refused_without_it() -> None:
    """They would be ignored."""
    with pytest.raises(Invalid, match="give them to its node"):
        Worker().durable("own", workflow=False, retry=Retry(attempts=2))
