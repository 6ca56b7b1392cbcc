/** Columns of the list, in their order. */

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
  { id: "status", label: "Status", width: "116px", always: true },
  { id: "workflow", label: "Workflow", width: "minmax(140px, 1.1fr)", always: true },
  { id: "id", label: "Execution", width: "minmax(150px, 1fr)" },
  { id: "version", label: "Version", width: "64px" },
  { id: "started", label: "Started", width: "96px", order: "started" },
  { id: "ended", label: "Ended", width: "96px", order: "ended" },
  { id: "duration", label: "Duration", width: "92px" },
  { id: "events", label: "Events", width: "70px" },
  { id: "request", label: "Request id", width: "minmax(120px, 0.8fr)" },
  { id: "error", label: "Error", width: "minmax(140px, 1.6fr)" },
];
const DEFAULT = ["status", "workflow", "id", "started", "duration", "error"];

export function shownColumns(columns: string | undefined): readonly string[] {
  const chosen = columns?.split(",").filter((id) => COLUMNS.some((each) => each.id === id));
  const shown = chosen?.length ? chosen : DEFAULT;
  const always = COLUMNS.filter((each) => each.always).map((each) => each.id);
  return COLUMNS.map((each) => each.id).filter((id) => shown.includes(id) || always.includes(id));
}
