/** The pages that operate the suite: approvals, triggers, workers, messages, numbers, pictures. */

import { createRoute, lazyRouteComponent, redirect } from "@tanstack/react-router";
import { rootRoute, text, texts, whole } from "./rootRoute";

const getParentRoute = () => rootRoute;

const approvals = createRoute({
  getParentRoute,
  path: "/approvals",
  validateSearch: (
    search: Record<string, unknown>,
  ): { assignee?: string | undefined; chosen?: string | undefined } => ({
    assignee: text(search.assignee),
    chosen: text(search.chosen),
  }),
  component: lazyRouteComponent(() => import("@/features/approvals/page"), "ApprovalsPage"),
});

const triggers = createRoute({
  getParentRoute,
  path: "/triggers",
  validateSearch: (
    search: Record<string, unknown>,
  ): { workflow?: string | undefined; chosen?: string | undefined } => ({
    workflow: text(search.workflow),
    chosen: text(search.chosen),
  }),
  component: lazyRouteComponent(() => import("@/features/triggers/page"), "TriggersPage"),
});

const workers = createRoute({
  getParentRoute,
  path: "/workers",
  component: lazyRouteComponent(() => import("@/features/workers/page"), "WorkersPage"),
});

const agents = createRoute({
  getParentRoute,
  path: "/agents",
  component: lazyRouteComponent(() => import("@/features/agents/page"), "AgentsPage"),
});

const plugins = createRoute({
  getParentRoute,
  path: "/plugins",
  validateSearch: (search: Record<string, unknown>): { q?: string | undefined } => ({
    q: text(search.q),
  }),
  component: lazyRouteComponent(() => import("@/features/plugins/page"), "PluginsPage"),
});

const cells = createRoute({
  getParentRoute,
  path: "/cells",
  component: lazyRouteComponent(() => import("@/features/cells/page"), "CellsPage"),
});

const access = createRoute({
  getParentRoute,
  path: "/access",
  validateSearch: (
    search: Record<string, unknown>,
  ): { company?: string | undefined; tab?: string | undefined; at?: string | undefined } => ({
    company: text(search.company),
    tab: text(search.tab),
    at: text(search.at),
  }),
  component: lazyRouteComponent(() => import("@/features/access/page"), "AccessPage"),
});

const messages = createRoute({
  getParentRoute,
  path: "/messages",
  validateSearch: (search: Record<string, unknown>): { queue?: string | undefined } => ({
    queue: text(search.queue),
  }),
  component: lazyRouteComponent(() => import("@/features/messages/page"), "MessagesPage"),
});

const streams = createRoute({
  getParentRoute,
  path: "/streams",
  validateSearch: (search: Record<string, unknown>): { stream?: string | undefined } => ({
    stream: text(search.stream),
  }),
  component: lazyRouteComponent(() => import("@/features/streams/page"), "StreamsPage"),
});

const audit = createRoute({
  getParentRoute,
  path: "/audit",
  validateSearch: (
    search: Record<string, unknown>,
  ): {
    companyId?: string | undefined;
    actor?: string | undefined;
    method?: string | undefined;
    target?: string | undefined;
  } => ({
    companyId: text(search.companyId),
    actor: text(search.actor),
    method: text(search.method),
    target: text(search.target),
  }),
  component: lazyRouteComponent(() => import("@/features/audit/page"), "AuditPage"),
});

const projects = createRoute({
  getParentRoute,
  path: "/projects",
  component: lazyRouteComponent(() => import("@/features/projects/page"), "ProjectsPage"),
});

const secrets = createRoute({
  getParentRoute,
  path: "/secrets",
  validateSearch: (search: Record<string, unknown>): { project?: string | undefined } => ({
    project: text(search.project),
  }),
  component: lazyRouteComponent(() => import("@/features/secrets/page"), "SecretsPage"),
});

const services = createRoute({
  getParentRoute,
  path: "/services",
  component: lazyRouteComponent(() => import("@/features/services/page"), "ServicesPage"),
});

const bulks = createRoute({
  getParentRoute,
  path: "/bulk",
  component: lazyRouteComponent(() => import("@/features/bulk/page"), "BulksPage"),
});

const dashboards = createRoute({
  getParentRoute,
  path: "/dashboards",
  validateSearch: (
    search: Record<string, unknown>,
  ): { hours?: number | undefined; workflow?: string | undefined } => ({
    hours: whole(search.hours),
    workflow: text(search.workflow),
  }),
  component: lazyRouteComponent(() => import("@/features/dashboards/page"), "DashboardsPage"),
});

const observe = createRoute({
  getParentRoute,
  path: "/observe",
  validateSearch: (
    search: Record<string, unknown>,
  ): {
    hours?: number | undefined;
    from?: string | undefined;
    to?: string | undefined;
    workflow?: string | undefined;
    q?: string | undefined;
    trace?: string | undefined;
    execution?: string | undefined;
    by?: string | undefined;
    only?: string[] | undefined;
    ask?: string | undefined;
  } => ({
    hours: whole(search.hours),
    from: text(search.from),
    to: text(search.to),
    workflow: text(search.workflow),
    q: text(search.q),
    trace: text(search.trace),
    execution: text(search.execution),
    by: text(search.by),
    only: texts(search.only),
    ask: text(search.ask),
  }),
  component: lazyRouteComponent(() => import("@/features/observe/page"), "ObservePage"),
});

const savedDashboards = createRoute({
  getParentRoute,
  path: "/observe/dashboards",
  validateSearch: (
    search: Record<string, unknown>,
  ): {
    name?: string | undefined;
    hours?: number | undefined;
    from?: string | undefined;
    to?: string | undefined;
  } => ({
    name: text(search.name),
    hours: whole(search.hours),
    from: text(search.from),
    to: text(search.to),
  }),
  component: lazyRouteComponent(
    () => import("@/features/observe/dashboards"),
    "SavedDashboardsPage",
  ),
});

const visualize = createRoute({
  getParentRoute,
  path: "/visualization",
  beforeLoad: () => {
    throw redirect({ to: "/visualization/topology" });
  },
});

const grid = createRoute({
  getParentRoute,
  path: "/visualization/grid",
  validateSearch: (search: Record<string, unknown>): { workflow?: string | undefined } => ({
    workflow: text(search.workflow),
  }),
  component: lazyRouteComponent(() => import("@/features/visualize/gridPage"), "GridPage"),
});

const topology = createRoute({
  getParentRoute,
  path: "/visualization/topology",
  component: lazyRouteComponent(() => import("@/features/visualize/topologyPage"), "TopologyPage"),
});

const galaxy = createRoute({
  getParentRoute,
  path: "/visualization/galaxy",
  component: lazyRouteComponent(() => import("@/features/galaxy/page"), "GalaxyPage"),
});

const styleguide = createRoute({
  getParentRoute,
  path: "/styleguide",
  component: lazyRouteComponent(() => import("@/features/styleguide/page"), "StyleguidePage"),
});

export const operateRoutes = [
  approvals,
  triggers,
  workers,
  agents,
  plugins,
  cells,
  access,
  messages,
  streams,
  audit,
  projects,
  secrets,
  services,
  bulks,
  dashboards,
  observe,
  savedDashboards,
  visualize,
  grid,
  topology,
  galaxy,
  styleguide,
] as const;
