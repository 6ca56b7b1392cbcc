/** The builder and the library. New and stored workflows are one page, so a save keeps its state. */

import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { rootRoute, text, whole } from "./rootRoute";

const builder = createRoute({
  getParentRoute: () => rootRoute,
  id: "builder",
  validateSearch: (
    search: Record<string, unknown>,
  ): { draft?: string | undefined; template?: string | undefined } => ({
    draft: text(search.draft),
    template: text(search.template),
  }),
  component: lazyRouteComponent(() => import("@/features/builder/page"), "BuilderPage"),
});

const created = createRoute({ getParentRoute: () => builder, path: "/workflows/new" });
const edited = createRoute({ getParentRoute: () => builder, path: "/workflows/$workflowId/edit" });

const workflow = createRoute({
  getParentRoute: () => rootRoute,
  path: "/workflows/$workflowId",
  validateSearch: (
    search: Record<string, unknown>,
  ): { from?: number | undefined; to?: number | undefined } => ({
    from: whole(search.from),
    to: whole(search.to),
  }),
  component: lazyRouteComponent(() => import("@/features/workflow/page"), "WorkflowPage"),
});

const tasks = createRoute({
  getParentRoute: () => rootRoute,
  path: "/tasks",
  validateSearch: (search: Record<string, unknown>): { chosen?: string | undefined } => ({
    chosen: text(search.chosen),
  }),
  component: lazyRouteComponent(() => import("@/features/library/tasks"), "TasksPage"),
});

const templates = createRoute({
  getParentRoute: () => rootRoute,
  path: "/templates",
  component: lazyRouteComponent(() => import("@/features/library/templates"), "TemplatesPage"),
});

const composer = createRoute({
  getParentRoute: () => rootRoute,
  id: "composer",
  validateSearch: (search: Record<string, unknown>): { draft?: string | undefined } => ({
    draft: text(search.draft),
  }),
  component: lazyRouteComponent(() => import("@/features/apps/editor"), "AppEditorPage"),
});

const newApp = createRoute({ getParentRoute: () => composer, path: "/apps/new" });
const editedApp = createRoute({ getParentRoute: () => composer, path: "/apps/$app/edit" });

const apps = createRoute({
  getParentRoute: () => rootRoute,
  path: "/apps",
  validateSearch: (search: Record<string, unknown>): { q?: string | undefined } => ({
    q: text(search.q),
  }),
  component: lazyRouteComponent(() => import("@/features/apps/list"), "AppsPage"),
});

const app = createRoute({
  getParentRoute: () => rootRoute,
  path: "/apps/$app",
  component: lazyRouteComponent(() => import("@/features/apps/detail"), "AppPage"),
});

export const builderRoutes = [
  builder.addChildren([created, edited]),
  composer.addChildren([newApp, editedApp]),
  apps,
  app,
  workflow,
  tasks,
  templates,
] as const;
