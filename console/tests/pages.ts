/** The pages of the console with content, for pictures and for the checks of their layout. */

/** The id of a seeded execution. */
export type Seeds = (name: string) => string;

export interface Shown {
  name: string;
  path: (seeded: Seeds) => string;
  /** Shown in a closed installation, to its owner. */
  closed?: true;
}

const at = (name: string, path: string): Shown => ({ name, path: () => path });
const of = (name: string, execution: string, rest = ""): Shown => ({
  name,
  path: (seeded) => `/executions/${seeded(execution)}${rest}`,
});
const closed = (name: string, path: string): Shown => ({ ...at(name, path), closed: true });

/** One for each route at least; a unit test compares them with the routes. */
export const PAGES: readonly Shown[] = [
  at("home", "/"),
  at("executions", "/executions"),
  of("execution", "completed"),
  of("execution-failed", "failed", "?node=charge"),
  of("execution-held", "held", "?node=charge"),
  of("execution-approval", "approval", "?node=approve"),
  of("execution-wide", "wide"),
  of("execution-map", "map", "?node=each"),
  of("execution-timeline", "failed", "?tab=timeline"),
  of("execution-history", "failed", "?tab=history"),
  of("execution-values", "completed", "?tab=values"),
  of("execution-paths", "failed", "?tab=paths"),
  of("execution-children", "nested", "?tab=children"),
  of("execution-long", "long", "?node=send-the-monthly-statement-to-every-customer"),
  of("debug", "completed", "/debug?at=9&watch=tasks.charge.output"),
  of("rerun", "failed", "/rerun"),
  {
    name: "compare",
    path: (seeded) =>
      `/executions/compare?left=${seeded("completed")}&right=${seeded("failed")}&node=charge`,
  },
  at("workflows", "/workflows"),
  at("workflow", "/workflows/orders"),
  at("builder-start", "/workflows/new"),
  at("builder", "/workflows/orders/edit"),
  at("tasks", "/tasks"),
  at("templates", "/templates"),
  at("apps", "/apps"),
  at("app", "/apps/till"),
  at("composer-start", "/apps/new"),
  at("composer", "/apps/till/edit"),
  at("approvals", "/approvals"),
  at("triggers", "/triggers?workflow=settlement&chosen=settlement/nightly"),
  at("queues", "/queues"),
  at("dead-letters", "/dead-letters"),
  at("workers", "/workers"),
  at("services", "/services"),
  at("messages", "/messages?queue=returns"),
  at("streams", "/streams?stream=order-4711"),
  at("projects", "/projects"),
  at("secrets", "/secrets"),
  at("agents", "/agents"),
  at("plugins", "/plugins"),
  at("cells", "/cells"),
  at("bulk", "/bulk"),
  at("dashboards", "/dashboards?hours=1"),
  at("dashboard-workflow", "/dashboards?workflow=orders"),
  at("observe", "/observe?hours=1"),
  at("saved-dashboards", "/observe/dashboards"),
  at("saved-dashboard", "/observe/dashboards?name=suite"),
  at("visualization", "/visualization"),
  at("grid", "/visualization/grid?workflow=orders"),
  at("topology", "/visualization/topology"),
  at("galaxy", "/visualization/galaxy"),
  at("settings", "/settings"),
  at("styleguide", "/styleguide"),
  at("login", "/login"),
  closed("access", "/access"),
  closed("access-keys", "/access?tab=keys"),
  closed("access-providers", "/access?tab=providers"),
  closed("audit", "/audit"),
  closed("sessions", "/settings"),
  closed("device", "/device?code=ABCD-EFGH"),
  closed(
    "authorize",
    "/authorize?client_id=flowmesh-cli&redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fcallback&code_challenge=vvv&state=s",
  ),
];
