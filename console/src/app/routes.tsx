/** The pages by path. A page is a folder below `features/`, loaded when it is first shown. */

import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
} from "@tanstack/react-router";
import { rowsQuery } from "@/features/executions/queries";
import { Crashed, NotFoundPage } from "./errors";
import { client } from "./queryClient";
import { Shell } from "./shell";

export interface ListSearch {
  /** A filter in the grammar of docs/search.md. */
  q?: string | undefined;
  /** The bound of the start: `1h`, `24h`, `7d`, `30d` or `all`. */
  range?: string | undefined;
  /** The interval chosen in the histogram, as ISO times. */
  from?: string | undefined;
  to?: string | undefined;
  order?: string | undefined;
  columns?: string | undefined;
}

export interface ExecutionSearch {
  tab?: string | undefined;
  /** The selected node. */
  node?: string | undefined;
  /** The moment as a sequence of the history; none is now. */
  at?: number | undefined;
  /** Watched paths, apart by spaces. */
  watch?: string | undefined;
}

export interface CompareSearch {
  left?: string | undefined;
  right?: string | undefined;
  node?: string | undefined;
}

export interface RerunSearch {
  /** Nodes to run again, apart by spaces; none is all of them. */
  from?: string | undefined;
}

const root = createRootRoute({
  component: Shell,
  notFoundComponent: NotFoundPage,
  errorComponent: Crashed,
});

const home = createRoute({
  getParentRoute: () => root,
  path: "/",
  component: lazyRouteComponent(() => import("@/features/home/page"), "HomePage"),
});

export const executionsRoute = createRoute({
  getParentRoute: () => root,
  path: "/executions",
  validateSearch: (search: Record<string, unknown>): ListSearch => ({
    q: text(search.q),
    range: text(search.range),
    from: text(search.from),
    to: text(search.to),
    order: text(search.order),
    columns: text(search.columns),
  }),
  loaderDeps: ({ search }) => search,
  // The rows are asked for while the page itself is on its way.
  loader: ({ deps }) => {
    void client.prefetchInfiniteQuery(rowsQuery(deps));
  },
  component: lazyRouteComponent(() => import("@/features/executions/page"), "ExecutionsPage"),
});

function executionSearch(search: Record<string, unknown>): ExecutionSearch {
  return {
    tab: text(search.tab),
    node: text(search.node),
    at: whole(search.at),
    watch: text(search.watch),
  };
}

export const executionRoute = createRoute({
  getParentRoute: () => root,
  path: "/executions/$executionId",
  validateSearch: executionSearch,
  component: lazyRouteComponent(() => import("@/features/execution/page"), "ExecutionPage"),
});

const debug = createRoute({
  getParentRoute: () => root,
  path: "/executions/$executionId/debug",
  validateSearch: executionSearch,
  component: lazyRouteComponent(() => import("@/features/execution/page"), "DebugPage"),
});

const rerun = createRoute({
  getParentRoute: () => root,
  path: "/executions/$executionId/rerun",
  validateSearch: (search: Record<string, unknown>): RerunSearch => ({ from: text(search.from) }),
  component: lazyRouteComponent(() => import("@/features/rerun/page"), "RerunPage"),
});

const compare = createRoute({
  getParentRoute: () => root,
  path: "/executions/compare",
  validateSearch: (search: Record<string, unknown>): CompareSearch => ({
    left: text(search.left),
    right: text(search.right),
    node: text(search.node),
  }),
  component: lazyRouteComponent(() => import("@/features/compare/page"), "ComparePage"),
});

const workflows = createRoute({
  getParentRoute: () => root,
  path: "/workflows",
  validateSearch: (search: Record<string, unknown>): { q?: string | undefined } => ({
    q: text(search.q),
  }),
  component: lazyRouteComponent(() => import("@/features/workflows/page"), "WorkflowsPage"),
});

const queues = createRoute({
  getParentRoute: () => root,
  path: "/queues",
  component: lazyRouteComponent(() => import("@/features/queues/page"), "QueuesPage"),
});

const deadLetters = createRoute({
  getParentRoute: () => root,
  path: "/dead-letters",
  component: lazyRouteComponent(() => import("@/features/dead-letters/page"), "DeadLettersPage"),
});

const settings = createRoute({
  getParentRoute: () => root,
  path: "/settings",
  component: lazyRouteComponent(() => import("@/features/settings/page"), "SettingsPage"),
});

export const loginRoute = createRoute({
  getParentRoute: () => root,
  path: "/login",
  validateSearch: (search: Record<string, unknown>): { next?: string | undefined } => ({
    next: text(search.next),
  }),
  component: lazyRouteComponent(() => import("@/features/login/page"), "LoginPage"),
});

/** Pages are served below `/console` and at plain paths; links stay where the reader is. */
const basepath = location.pathname.startsWith("/console") ? "/console" : "/";

export const router = createRouter({
  routeTree: root.addChildren([
    home,
    executionsRoute,
    executionRoute,
    debug,
    rerun,
    compare,
    workflows,
    queues,
    deadLetters,
    settings,
    loginRoute,
  ]),
  basepath,
  defaultPreload: "intent",
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}

function text(value: unknown): string | undefined {
  if (typeof value === "number") return String(value);
  return typeof value === "string" && value ? value : undefined;
}

function whole(value: unknown): number | undefined {
  const number = Number(value);
  return Number.isInteger(number) && number > 0 ? number : undefined;
}
