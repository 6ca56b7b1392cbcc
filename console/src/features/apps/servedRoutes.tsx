import { Table } from "@/design/table";
import { say } from "@/model/messages";
import { appOf } from "@/text/app";
import { parsed } from "@/text/source";
import { chainOf } from "./store";

const HEADS = [
  say("apps.method"),
  say("apps.path"),
  say("apps.handler"),
  say("apps.middlewares"),
] as const;

/** The routes of a document, each with the modules that a request passes. */
export function ServedRoutes({ text }: { text: string }) {
  const source = parsed(text);
  const app = source.faults.length > 0 ? undefined : appOf(source, () => []);
  if (!app || app.routes.length === 0) return null;
  return (
    <Table title={say("apps.routes")} heads={HEADS}>
      {app.routes.map((each) => (
        <tr key={each.id}>
          <td>{each.method || "*"}</td>
          <td>
            <code>{each.path}</code>
          </td>
          <td>{each.handler || each.owner || (each.steps ? say("apps.pipeline") : "–")}</td>
          <td>
            {chainOf(app, each)
              .filter((name) => name !== each.handler)
              .join(" → ") || "–"}
          </td>
        </tr>
      ))}
    </Table>
  );
}
