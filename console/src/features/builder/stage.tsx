/** The canvas of the shown tasks. */

import { useMemo } from "react";
import { Canvas } from "@/editing/canvas";
import { findingsOf } from "@/editing/diagnostics";
import { NodeBox } from "@/editing/nodeBox";
import { type Placed, placedOf } from "@/editing/placing";
import { EditTools } from "@/editing/tools";
import { say } from "@/model/messages";
import { connect, disconnect, freeBranch, refusal, removeTasks } from "@/text/operations";
import { clearPositions, setPositions } from "@/text/positions";
import { shownText } from "@/values/text";
import { type Addition, addedTo, DRAGGED } from "./additions";
import { tasksOfAnalysis } from "./foreign";
import { QuickAdd } from "./quickAdd";
import { undoneOf } from "./saga";
import { useSession } from "./session";
import { type BuilderState, select, showLevels, useBuilder } from "./store";
import { taskLook } from "./taskBox";
import { useAdding } from "./useAdditions";

/** With the way to show or hide the palette. */
export function Stage({ fold }: { fold: () => void }) {
  const session = useSession();
  const state = useBuilder();
  const { workflow, analysis, positions, selected, edge, fault, readOnly, statuses } = state;
  const foreign = workflow && workflow.format !== "native";
  const tasks = useMemo(
    () => (foreign && analysis ? tasksOfAnalysis(analysis, workflow) : state.tasks),
    [foreign, analysis, workflow, state.tasks],
  );
  const placed = useMemo(() => {
    const found = placedOf(tasks, positions);
    return { ...found, undone: undoneOf(tasks, found.edges) };
  }, [tasks, positions]);
  const { outputs } = state;
  const valued = useMemo(
    () => withValues(placed, { outputs, statuses }),
    [placed, outputs, statuses],
  );
  const { adding, asked } = useAdding();
  const byId = useMemo(() => new Map(tasks.map((each) => [each.id, each])), [tasks]);
  const ids = useMemo(() => tasks.map((each) => each.id), [tasks]);
  const faults = useMemo(
    () => findingsOf(state.findings, tasks, state.source),
    [state.findings, tasks, state.source],
  );
  const remove = () => {
    if (edge) session.edit((text, at) => disconnect(text, at, edge.from, edge.to));
    else if (selected.length > 0) session.edit((text, at) => removeTasks(text, at, selected));
  };
  const open = (id: string) => {
    const task = byId.get(id);
    const path = task?.inner[0];
    const index = task?.place.path.at(-1);
    if (task && path && index !== undefined) {
      showLevels([...state.levels, { id: task.id, path: [index, ...path] }]);
    }
  };
  return (
    <>
      <Canvas
        label={say("builder.canvas")}
        ids={ids}
        placed={valued}
        selected={selected}
        edge={edge}
        stale={!!fault}
        editable={!fault && !readOnly && !foreign}
        box={(id, box) => {
          const task = byId.get(id);
          return (
            task && (
              <NodeBox
                key={id}
                {...box}
                node={task}
                look={taskLook}
                version={statuses?.get(id)}
                findings={faults.get(id)}
                open={open}
              />
            )
          );
        }}
        refusal={(from, to) => refusal(tasks, from, to)}
        join={(from, to) =>
          session.edit((text, at) => connect(text, at, from, to, freeBranch(tasks, from)))
        }
        move={(next) => {
          const prefix = state.levels.map((each) => `${each.id}/`).join("");
          const named = new Map([...next].map(([id, at]) => [prefix + id, at]));
          session.edit((text) => setPositions(text, named));
        }}
        choose={(chosen, opened) => select(chosen, opened ? "task" : undefined)}
        chooseEdge={(chosen) =>
          useBuilder.setState({ edge: chosen, selected: [], panel: "task", notice: undefined })
        }
        remove={remove}
        open={open}
        tools={<EditTools session={session} tidy={clearPositions} fold={fold} />}
        drop={(event, at, on) => {
          const data = event.dataTransfer.getData(DRAGGED);
          if (!data) return;
          event.preventDefault();
          addedTo(session, JSON.parse(data) as Addition, { on, at });
        }}
        search={(here, close) => (
          <QuickAdd
            at={here}
            close={close}
            add={(addition) => {
              close();
              adding(addition, { at: here.at, after: here.after });
            }}
          />
        )}
      />
      {asked}
    </>
  );
}

const VALUE_MAX = 400;

/** The edges with the outputs that went over them in the last run. */
function withValues(
  placed: Placed,
  { outputs, statuses }: Pick<BuilderState, "outputs" | "statuses">,
): Placed {
  if (outputs.size === 0) return placed;
  const edges = placed.edges.map((edge) => {
    if (statuses?.get(edge.to) === "skipped") return edge;
    const text = JSON.stringify(outputs.get(edge.from))?.slice(0, VALUE_MAX);
    return { ...edge, value: text && shownText(text) };
  });
  return { ...placed, edges };
}
