/** The shown state of an application that is edited: its parts, the selection, the findings. */

import { create } from "zustand";
import type { Shown } from "@/editing/draftSession";
import type { Edge } from "@/editing/edgeLines";
import { type App, type AppRoute, type AppStep, appOf, appPositions, stepsOf } from "@/text/app";
import { type Forms, namingOf } from "@/text/appRules";
import { type Place, parsed } from "@/text/source";
import type { Position } from "@/text/workflow";

export type Panel = "text" | "properties" | "routes";

/** A list of steps that the canvas shows instead of the modules. */
export interface Flow {
  title: string;
  steps: Place;
}

export interface ComposerState extends Shown {
  /** The last application that could be read; stale while the text has a fault. */
  app: App | undefined;
  forms: Forms;
  positions: ReadonlyMap<string, Position>;
  flow: Flow | undefined;
  /** Steps of the shown flow. */
  steps: readonly AppStep[];
  selected: readonly string[];
  edge: Edge | undefined;
  /** The route whose chain the canvas shows. */
  route: string | undefined;
  panel: Panel;
}

export const INITIAL: ComposerState = {
  text: "",
  source: parsed(""),
  fault: undefined,
  notice: undefined,
  findings: [],
  checked: undefined,
  save: { word: "kept" },
  readOnly: undefined,
  app: undefined,
  forms: {},
  positions: new Map(),
  flow: undefined,
  steps: [],
  selected: [],
  edge: undefined,
  route: undefined,
  panel: "properties",
};

export const useComposer = create<ComposerState>(() => INITIAL);

/** Read the text anew; with a fault, the last good state stays. Return its name. */
export function readText(text: string): string | undefined {
  const source = parsed(text);
  const fault = source.faults[0];
  useComposer.setState((before) => {
    if (fault) return { text, source, fault };
    const app = appOf(source, namingOf(before.forms));
    const flow =
      app && before.flow && stepsOf(app, before.flow.steps).length >= 0 ? before.flow : undefined;
    const steps = app && flow ? stepsOf(app, flow.steps) : [];
    const ids = new Set((flow ? steps : (app?.modules ?? [])).map((each) => each.id));
    const { edge, route } = before;
    return {
      text,
      source,
      fault: undefined,
      app,
      positions: app ? appPositions(app) : new Map(),
      flow,
      steps,
      selected: before.selected.filter((each) => ids.has(each)),
      edge: edge && ids.has(edge.from) && ids.has(edge.to) ? edge : undefined,
      route: app?.routes.some((each) => each.id === route) ? route : undefined,
    };
  });
  return useComposer.getState().app?.name;
}

/** The types of modules and steps have arrived. */
export function setForms(forms: Forms): void {
  useComposer.setState({ forms });
  const { text, readOnly } = useComposer.getState();
  if (!readOnly) readText(text);
}

export function showFlow(flow: Flow | undefined): void {
  useComposer.setState(({ app }) => ({
    flow,
    steps: app && flow ? stepsOf(app, flow.steps) : [],
    selected: [],
    edge: undefined,
    notice: undefined,
  }));
}

export function select(ids: readonly string[], panel?: Panel): void {
  useComposer.setState({ selected: ids, edge: undefined, ...(panel ? { panel } : {}) });
}

/** Modules of a route in the order in which a request passes them. */
export function chainOf(app: App, route: AppRoute): string[] {
  const names = new Set(app.modules.map((each) => each.id));
  const owner = app.modules.find((each) => each.id === route.owner);
  const shared = ((owner?.config.middlewares ?? []) as unknown[]).map(String);
  const end = route.handler || (owner && !owner.type.includes("router") ? owner.id : "");
  return [...shared, ...route.middlewares, end].filter((each) => names.has(each));
}

/** The label of a route: its method and path. */
export function routeTitle({ method, path }: Pick<AppRoute, "method" | "path">): string {
  return `${method || "*"} ${path}`;
}
