/** The canvas: modules with their dependencies, or the steps of a pipeline. */

import { useMemo } from "react";
import { Canvas, NUDGE } from "@/editing/canvas";
import { findingsOf } from "@/editing/diagnostics";
import { type Look, NodeBox } from "@/editing/nodeBox";
import { type DrawnEdge, type Placed, placedOf } from "@/editing/placing";
import { EditTools } from "@/editing/tools";
import { NODE_HEIGHT, NODE_WIDTH } from "@/model/layout";
import { say } from "@/model/messages";
import type { App, AppModule, AppRoute, AppStep } from "@/text/app";
import {
  connectModules,
  disconnectModules,
  forgetPlaces,
  moveItem,
  placeModules,
  removeModules,
} from "@/text/appEdits";
import { moduleRefusal } from "@/text/appRules";
import { set } from "@/text/edits";
import type { Position } from "@/text/workflow";
import { type Addition, addedTo, DRAGGED } from "./additions";
import { columnsOf } from "./columns";
import { TypeIcon } from "./icons";
import styles from "./page.module.css";
import { useSession } from "./session";
import { chainOf, select, showFlow, useComposer } from "./store";

interface Props {
  /** Show or hide the palette. */
  fold: () => void;
}

export function Stage({ fold }: Props) {
  const flow = useComposer((state) => state.flow);
  if (flow) return <StepStage key={flow.steps.path.join(".")} fold={fold} />;
  return <ModuleStage fold={fold} />;
}

const NONE: readonly AppModule[] = [];

function ModuleStage({ fold }: Props) {
  const session = useSession();
  const state = useComposer();
  const { app, forms, positions, selected, edge, fault, readOnly } = state;
  const modules = app?.modules ?? NONE;
  const route = app?.routes.find((each) => each.id === state.route);
  const chain = useMemo(() => (app && route ? chainOf(app, route) : []), [app, route]);
  const placed = useMemo(() => {
    const found = placedOf(modules, new Map([...columnsOf(modules), ...positions]));
    return { ...found, edges: [...found.edges, ...chainEdges(chain)] };
  }, [modules, positions, chain]);
  const byId = useMemo(() => new Map(modules.map((each) => [each.id, each])), [modules]);
  const ids = useMemo(() => modules.map((each) => each.id), [modules]);
  const faults = useMemo(
    () => findingsOf(state.findings, modules, state.source),
    [state.findings, modules, state.source],
  );
  const join = (from: string, to: string) => {
    const refused = moduleRefusal(modules, forms, from, to);
    if (refused) session.refuse(refused);
    else session.edit((text, now) => connectModules(text, now, from, to));
  };
  const remove = () => {
    if (edge) session.edit((text, now) => disconnectModules(text, now, edge.from, edge.to));
    else if (selected.length > 0) session.edit((text, now) => removeModules(text, now, selected));
  };
  const open = (id: string) => openFirst(app, id);
  return (
    <Canvas
      label={say("apps.canvas")}
      ids={ids}
      placed={placed}
      selected={selected}
      edge={edge}
      stale={!!fault}
      editable={!fault && !readOnly}
      tools={<EditTools session={session} tidy={forgetPlaces} fold={fold} />}
      box={(id, box) => {
        const module = byId.get(id);
        const place = chain.indexOf(id);
        return (
          module && (
            <NodeBox
              key={id}
              {...box}
              node={module}
              look={moduleLook}
              version={place < 0 ? undefined : place + 1}
              findings={faults.get(id)}
              open={open}
            />
          )
        );
      }}
      refusal={(from, to) => moduleRefusal(modules, forms, from, to)}
      join={join}
      move={(next) => session.edit((text) => placeModules(text, next))}
      choose={(chosen, opened) => select(chosen, opened ? "properties" : undefined)}
      chooseEdge={(chosen) =>
        useComposer.setState({ edge: chosen, selected: [], panel: "properties" })
      }
      remove={remove}
      open={open}
      drop={(event, at) => {
        const data = event.dataTransfer.getData(DRAGGED);
        if (!data) return;
        event.preventDefault();
        addedTo(session, JSON.parse(data) as Addition, { at });
      }}
    />
  );
}

/** The way of a request through the modules of a route. */
function chainEdges(chain: readonly string[]): DrawnEdge[] {
  return chain.slice(1).map((to, place) => ({
    from: chain[place] as string,
    to,
    label: "",
    implied: true,
    kind: "chain",
  }));
}

/** Open the pipeline of the first route that a module serves. */
function openFirst(app: App | undefined, id: string): void {
  const own = (each: AppRoute) => each.steps && (each.handler === id || each.owner === id);
  const route = app?.routes.find(own);
  if (!route?.steps) return;
  useComposer.setState({ route: route.id });
  showFlow({ title: `${route.method} ${route.path}`, steps: route.steps });
}

function moduleLook(module: AppModule, version: unknown): Look {
  const place = version as number | undefined;
  const after = module.after.map((each) => each.task).join(", ");
  const words = [
    module.id,
    module.type,
    after && say("apps.after", { modules: after }),
    place && say("apps.place", { place }),
  ];
  return {
    title: module.id,
    line: module.type,
    label: words.filter(Boolean).join(", "),
    mark: <TypeIcon type={module.type} />,
    beside: place && <span className={styles.badge}>{place}</span>,
  };
}

const ROW = NODE_HEIGHT + 28;

/** Steps from top to bottom, joined by the way that a run takes. */
function flowOf(steps: readonly AppStep[]): Placed {
  const at = new Map<string, Position>();
  const rank = new Map<string, number>();
  for (const [index, each] of steps.entries()) {
    at.set(each.id, { x: 0, y: index * ROW });
    rank.set(each.id, index);
  }
  const edges = steps.flatMap((each, index) => {
    const next = steps[index + 1];
    const jumps = each.jumps
      .filter((to) => at.has(to) && to !== next?.id)
      .map((to) => ({ from: each.id, to, label: "", implied: true, kind: "jump" }));
    if (!next) return jumps;
    return [
      { from: each.id, to: next.id, label: "", implied: true, kind: "pipeline-flow" },
      ...jumps,
    ];
  });
  return { at, edges, rank, width: 2 * NODE_WIDTH, height: Math.max(1, steps.length) * ROW };
}

function StepStage({ fold }: Props) {
  const session = useSession();
  const state = useComposer();
  const { steps, flow, selected, fault, readOnly } = state;
  const placed = useMemo(() => flowOf(steps), [steps]);
  const index = (id: string) => steps.findIndex((each) => each.id === id);
  const faults = useMemo(
    () => findingsOf(state.findings, steps, state.source),
    [state.findings, steps, state.source],
  );
  const shift = (from: number, to: number) => {
    if (flow && from >= 0 && to >= 0 && to < steps.length)
      session.edit((text) => moveItem(text, flow.steps, from, to));
  };
  const remove = () =>
    session.edit((text) =>
      [...steps]
        .reverse()
        .filter((each) => selected.includes(each.id))
        .reduce((result, each) => set(result, each.place, undefined), text),
    );
  return (
    <Canvas
      label={say("apps.flow", { title: flow?.title ?? "" })}
      ids={steps.map((each) => each.id)}
      placed={placed}
      selected={selected}
      edge={undefined}
      stale={!!fault}
      editable={!fault && !readOnly}
      tools={<EditTools session={session} tidy={forgetPlaces} fold={fold} />}
      box={(id, box) => {
        const step = steps[index(id)];
        return (
          step && (
            <NodeBox
              key={id}
              {...box}
              node={step}
              look={stepLook}
              version={index(id) + 1}
              findings={faults.get(id)}
              open={() => undefined}
            />
          )
        );
      }}
      refusal={(from, to) => (from === to ? say("apps.ownStep") : undefined)}
      join={(from, to) => {
        // The target runs directly after the source.
        const [before, moved] = [index(from), index(to)];
        if (from === to) session.refuse(say("apps.ownStep"));
        else shift(moved, moved < before ? before : before + 1);
      }}
      move={(next, by) => {
        const [id = ""] = next.keys();
        shift(index(id), index(id) + placesOf(by));
      }}
      choose={(chosen, opened) => select(chosen, opened ? "properties" : undefined)}
      chooseEdge={() => undefined}
      remove={remove}
      open={() => undefined}
      drop={(event, _, on) => {
        const data = event.dataTransfer.getData(DRAGGED);
        if (!data) return;
        event.preventDefault();
        addedTo(session, JSON.parse(data) as Addition, { on });
      }}
    />
  );
}

/** Places in the order by which a drag or a key moves a step. */
function placesOf({ y }: Position): number {
  return Math.round(y / ROW) || (Math.abs(y) >= NUDGE ? Math.sign(y) : 0);
}

function stepLook(step: AppStep, version: unknown): Look {
  const place = Number(version);
  return {
    title: step.id,
    line: step.type,
    label: `${step.id}, ${step.type}, ${say("apps.place", { place })}`,
    mark: <TypeIcon type={step.type} />,
    beside: <span className={styles.badge}>{place}</span>,
  };
}
