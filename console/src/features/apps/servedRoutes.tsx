import { type Column, Table } from "@/design/table";
import { say } from "@/model/messages";
import { appOf } from "@/text/app";
import { parsed } from "@/text/source";
import { chainOf } from "./store";

/** The routes of a document, each with the modules that a request passes. */
export function ServedRoutes({ text }: { text: string }) {
  const source = parsed(text);
  const app = source.faults.length > 0 ? undefined : appOf(source, () => []);
  if (!app || app.routes.length === 0) return null;
  const columns: readonly Column<(typeof app.routes)[number]>[] = [
    { head: say("apps.method"), cell: (each) => each.method || "*" },
    { head: say("apps.path"), as: "code", cell: (each) => each.path },
    {
      head: say("apps.handler"),
      cell: (each) => each.handler || each.owner || (each.steps ? say("apps.pipeline") : "–"),
    },
    {
      head: say("apps.middlewares"),
      cell: (each) =>
        chainOf(app, each)
          .filter((name) => name !== each.handler)
          .join(" → ") || "–",
    },
  ];
  return (
    <Table
      title={say("apps.routes")}
      columns={columns}
      rows={app.routes}
      keyOf={(each) => each.id}
    />
  );
}
