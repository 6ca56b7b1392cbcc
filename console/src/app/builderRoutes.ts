/** The builder: one page for new and stored workflows, so a first save keeps its state. */

import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { rootRoute, text } from "./rootRoute";

const builder = createRoute({
  getParentRoute: () => rootRoute,
  id: "builder",
  validateSearch: (search: Record<string, unknown>): { draft?: string | undefined } => ({
    draft: text(search.draft),
  }),
  component: lazyRouteComponent(() => import("@/features/builder/page"), "BuilderPage"),
});

const created = createRoute({ getParentRoute: () => builder, path: "/workflows/new" });
const edited = createRoute({ getParentRoute: () => builder, path: "/workflows/$workflowId/edit" });

export const builderRoutes = builder.addChildren([created, edited]);
