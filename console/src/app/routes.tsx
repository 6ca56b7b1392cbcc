/** The pages by path. A page is a folder below `features/`, loaded when it is first shown. */

import { createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import { pageQuery } from "@/features/executions/queries";
import { orderOf, type WorkflowOrder } from "@/model/workflowOrder";
import { builderRoutes } from "./builderRoutes";
import { Crashed } from "./errors";
import { operateRoutes } from "./operateRoutes";
import { client } from "./queryClient";
import { rootRoute, text, whole } from "./rootRoute";

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

/** A login of the command (RFC 8252), with the names of OAuth. */
export interface AuthorizeSearch {
  client_id?: string | undefined;
  redirect_uri?: string | undefined;
  code_challenge?: string | undefined;
  state?: string | undefined;
}

const home = createRoute({
  getParentRoute: () => rootRoute,
  path: "/",
  component: lazyRouteComponent(() => import("@/features/home/page"), "HomePage"),
});

export const executionsRoute = createRoute({
  getParentRoute: () => rootRoute,
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
    void client.prefetchQuery(pageQuery(deps, ""));
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
  getParentRoute: () => rootRoute,
  path: "/executions/$executionId",
  validateSearch: executionSearch,
  component: lazyRouteComponent(() => import("@/features/execution/page"), "ExecutionPage"),
});

const debug = createRoute({
  getParentRoute: () => rootRoute,
  path: "/executions/$executionId/debug",
  validateSearch: executionSearch,
  component: lazyRouteComponent(() => import("@/features/execution/page"), "DebugPage"),
});

const rerun = createRoute({
  getParentRoute: () => rootRoute,
  path: "/executions/$executionId/rerun",
  validateSearch: (search: Record<string, unknown>): RerunSearch => ({ from: text(search.from) }),
  component: lazyRouteComponent(() => import("@/features/rerun/page"), "RerunPage"),
});

const compare = createRoute({
  getParentRoute: () => rootRoute,
  path: "/executions/compare",
  validateSearch: (search: Record<string, unknown>): CompareSearch => ({
    left: text(search.left),
    right: text(search.right),
    node: text(search.node),
  }),
  component: lazyRouteComponent(() => import("@/features/compare/page"), "ComparePage"),
});

const workflows = createRoute({
  getParentRoute: () => rootRoute,
  path: "/workflows",
  validateSearch: (
    search: Record<string, unknown>,
  ): { q?: string | undefined; order?: WorkflowOrder | undefined } => ({
    q: text(search.q),
    order: orderOf(search.order),
  }),
  component: lazyRouteComponent(() => import("@/features/workflows/page"), "WorkflowsPage"),
});

const queues = createRoute({
  getParentRoute: () => rootRoute,
  path: "/queues",
  component: lazyRouteComponent(() => import("@/features/queues/page"), "QueuesPage"),
});

const deadLetters = createRoute({
  getParentRoute: () => rootRoute,
  path: "/dead-letters",
  component: lazyRouteComponent(() => import("@/features/dead-letters/page"), "DeadLettersPage"),
});

const settings = createRoute({
  getParentRoute: () => rootRoute,
  path: "/settings",
  component: lazyRouteComponent(() => import("@/features/settings/page"), "SettingsPage"),
});

export const loginRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/login",
  validateSearch: (
    search: Record<string, unknown>,
  ): {
    next?: string | undefined;
    company?: string | undefined;
    error?: string | undefined;
  } => ({
    next: text(search.next),
    company: text(search.company),
    error: text(search.error),
  }),
  component: lazyRouteComponent(() => import("@/features/login/page"), "LoginPage"),
});

export const deviceRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/device",
  validateSearch: (search: Record<string, unknown>): { code?: string | undefined } => ({
    code: text(search.code),
  }),
  component: lazyRouteComponent(() => import("@/features/login/device"), "DevicePage"),
});

export const authorizeRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/authorize",
  validateSearch: (search: Record<string, unknown>): AuthorizeSearch => ({
    client_id: text(search.client_id),
    redirect_uri: text(search.redirect_uri),
    code_challenge: text(search.code_challenge),
    state: text(search.state),
  }),
  component: lazyRouteComponent(() => import("@/features/login/authorize"), "AuthorizePage"),
});

/** Pages are served below `/console` and at plain paths; links stay where the reader is. */
const basepath = location.pathname.startsWith("/console") ? "/console" : "/";

export const router = createRouter({
  routeTree: rootRoute.addChildren([
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
    deviceRoute,
    authorizeRoute,
    ...builderRoutes,
    ...operateRoutes,
  ]),
  basepath,
  defaultPreload: "intent",
  // Within the shell, so that the other pages stay within reach.
  defaultErrorComponent: Crashed,
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
