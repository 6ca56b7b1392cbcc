/** Columns of the list: those of every list, and search values of what is listed. */

import { useMemo } from "react";
import { prefer, usePreference } from "@/app/preferences";
import type { ListSearch } from "@/app/routes";
import { workflowOf } from "@/model/filter";
import { say } from "@/model/messages";
import type { Row } from "./queries";

export interface Column {
  id: string;
  label: string;
  /** A width of a grid track. */
  width: string;
  always?: boolean;
  /** The field of an order. */
  order?: string;
}

const COLUMNS: readonly Column[] = [
  { id: "status", label: say("executions.status"), width: "128px", always: true },
  {
    id: "workflow",
    label: say("executions.workflow"),
    width: "minmax(110px, 1.1fr)",
    always: true,
  },
  { id: "id", label: say("executions.execution"), width: "minmax(140px, 1fr)" },
  { id: "version", label: say("executions.version"), width: "64px" },
  { id: "started", label: say("executions.started"), width: "88px", order: "started" },
  { id: "ended", label: say("executions.ended"), width: "96px", order: "ended" },
  { id: "duration", label: say("executions.duration"), width: "80px" },
  { id: "events", label: say("executions.events"), width: "70px" },
  { id: "request", label: say("executions.request"), width: "minmax(120px, 0.8fr)" },
  { id: "error", label: say("executions.error"), width: "minmax(110px, 1.6fr)" },
];
const DEFAULT = ["status", "workflow", "id", "started", "duration", "error"];
/** Attributes that a list of one workflow shows before others are chosen. */
const ATTRIBUTES_SHOWN = 3;
const SEARCH_VALUE = /^(attr|label|input)\.(.+)$/;

export interface Columns {
  /** All that can be chosen, in their order. */
  offered: readonly Column[];
  shown: readonly Column[];
  toggle: (id: string) => void;
}

/** The columns of a list: those of its address, or those that were kept for its workflow. */
export function useColumns(
  search: ListSearch,
  change: (values: Partial<ListSearch>) => void,
  rows: readonly Row[],
): Columns {
  const workflow = workflowOf(search.q ?? "");
  const all = usePreference("columns");
  const kept = all[workflow];
  const found = useMemo(() => namesOf(rows), [rows]);
  const chosen = (search.columns ?? kept)?.split(",");
  const attributes = workflow ? found.filter((name) => name.startsWith("attr.")) : [];
  const ids = chosen ?? [...DEFAULT, ...attributes.slice(0, ATTRIBUTES_SHOWN)];
  const offered = offeredColumns([...found, ...ids]);
  const shown = offered.filter(({ id, always }) => always || ids.includes(id));
  const toggle = (id: string) => {
    const now = shown.map((each) => each.id);
    const next = now.includes(id) ? now.filter((each) => each !== id) : [...now, id];
    prefer({ columns: { ...all, [workflow]: next.join(",") } });
    change({ columns: next.join(",") });
  };
  return { offered, shown, toggle };
}

/** The names of the search values of rows, sorted. */
function namesOf(rows: readonly Row[]): readonly string[] {
  return [...new Set(rows.flatMap((row) => Object.keys(row.search ?? {})))].sort();
}

/** The columns of every list, with those of search values behind the id. */
function offeredColumns(names: readonly string[]): readonly Column[] {
  const values = [...new Set(names)].flatMap((id) => {
    const label = SEARCH_VALUE.exec(id)?.[2];
    return label ? [{ id, label, width: "minmax(90px, 0.7fr)", order: id }] : [];
  });
  const at = COLUMNS.findIndex(({ id }) => id === "id") + 1;
  return COLUMNS.toSpliced(at, 0, ...values);
}
