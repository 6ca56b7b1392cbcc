"""The step of state machines: reads an instance, opens one, or fires a transition."""

from flowmesh.apps.data.effects import EFFECT_KEY
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.pipeline.context import StepContext
from flowmesh.apps.pipeline.run import Output, Run, StepCall
from flowmesh.apps.pipeline.templates import as_text
from flowmesh.apps.wiring.ports import MACHINE


def statemachine(context: StepContext) -> StepCall:
    """Compile step.statemachine; with `workflow`, an unknown instance is opened first."""
    config = context.spec.config
    instance, transition = context.value("instance"), context.value("transition")
    data, workflow = context.value("data"), str(config.get("workflow") or "")
    find = context.services.later(MACHINE, str(config["machine"]))

    async def call(run: Run) -> Output:
        engine = find()
        id = as_text(instance(run)) if instance is not None else ""
        if not id:
            raise HttpProblem(422, "INSTANCE_UNNAMED", "the instance of the step is empty")
        given = data(run) if data is not None else {}
        values = given if isinstance(given, dict) else {"input": given}
        if workflow and await engine.store.get(id) is None:
            await engine.open(workflow=workflow, instance=id, data=values)
        name = as_text(transition(run)) if transition is not None else ""
        cause = EFFECT_KEY.get()
        found = await (engine.fire_once(id, name, values, cause=cause) if name else engine.get(id))
        document: Output = found.document()
        return document

    return call
