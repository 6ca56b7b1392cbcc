/** Columns of the list, in their order. */

import { say } from "@/model/messages";

export interface Column {
  id: string;
  label: string;
  /** A width of a grid track. */
  width: string;
  always?: boolean;
  /** The field of an order. */
  order?: "started" | "ended";
}

export const COLUMNS: readonly Column[] = [
  { id: "status", label: say("executions.status"), width: "116px", always: true },
  {
    id: "workflow",
    label: say("executions.workflow"),
    width: "minmax(140px, 1.1fr)",
    always: true,
  },
  { id: "id", label: say("executions.execution"), width: "minmax(150px, 1fr)" },
  { id: "version", label: say("executions.version"), width: "64px" },
  { id: "started", label: say("executions.started"), width: "96px", order: "started" },
  { id: "ended", label: say("executions.ended"), width: "96px", order: "ended" },
  { id: "duration", label: say("executions.duration"), width: "92px" },
  { id: "events", label: say("executions.events"), width: "70px" },
  { id: "request", label: say("executions.request"), width: "minmax(120px, 0.8fr)" },
  { id: "error", label: say("executions.error"), width: "minmax(140px, 1.6fr)" },
];
const DEFAULT = ["status", "workflow", "id", "started", "duration", "error"];

export function shownColumns(columns: string | undefined): readonly string[] {
  const chosen = columns?.split(",").filter((id) => COLUMNS.some((each) => each.id === id));
  const shown = chosen?.length ? chosen : DEFAULT;
  const always = COLUMNS.filter((each) => each.always).map((each) => each.id);
  return COLUMNS.map((each) => each.id).filter((id) => shown.includes(id) || always.includes(id));
}
