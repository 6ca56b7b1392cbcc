import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { read } from "@/api/client";
import type { Mark } from "@/canvas/chart";
import { Time } from "@/design/primitives";
import { type Column, Table } from "@/design/table";
import { say } from "@/model/messages";
import { betweenText, type Span } from "./span";

const BEFORE_MS = 3_600_000;
const AFTER_MS = 300_000;
const SHOWN = 50;
const ALERTS = 'level = warning AND event IN ("budget_burns", "slowdown")';

export interface Change extends Mark {
  kind: "alert" | "scaling" | "version";
}

/** Alerts, scaling decisions, and versions of the chosen workflow within the time, newest first. */
export function useChanges(span: Span, workflow: string | undefined): Change[] {
  const { from, to } = betweenText(span.from, span.to);
  const { data } = useQuery({
    queryKey: ["observe", "changes", from, to, workflow],
    queryFn: async ({ signal }) => {
      const found = await Promise.all([
        alerts(`${ALERTS} AND time >= "${from}" AND time < "${to}"`, signal),
        decisions(signal),
        workflow ? versions(workflow, signal) : [],
      ]);
      return found
        .flat()
        .filter(({ at }) => at >= span.from && at < span.to)
        .toSorted((left, right) => right.at - left.at)
        .slice(0, SHOWN);
    },
    placeholderData: (before) => before,
    retry: false,
  });
  return data ?? NONE;
}

const NONE: Change[] = [];

async function alerts(filter: string, signal: AbortSignal): Promise<Change[]> {
  const { logs } = await read("/api/v1/observe/logs", { query: { filter }, signal });
  return logs.map(({ at, event, fields }) => {
    const named = fields as { workflow_id?: string; node?: string };
    const about = [named.workflow_id, named.node].filter(Boolean).join(" / ");
    return { kind: "alert", at: Date.parse(at), label: `${event}: ${about}` };
  });
}

async function decisions(signal: AbortSignal): Promise<Change[]> {
  const { decisions: found } = await read("/api/v1/scaling-decisions", { signal });
  return found
    .filter(({ before, count }) => before !== count)
    .map(({ at, spec, before, count }) => ({
      kind: "scaling",
      at: Date.parse(at),
      label: `${spec}: ${before} → ${count}`,
    }));
}

async function versions(name: string, signal: AbortSignal): Promise<Change[]> {
  const path = { name };
  const { versions: found } = await read("/api/v1/workflows/{name}/versions", { path, signal });
  return found.map(({ version, createdAt }) => ({
    kind: "version",
    at: Date.parse(createdAt),
    label: `${name} v${version}`,
  }));
}

/** The marks of the charts as a list; an alert leads to the hour before it. */
export function Changes({ changes }: { changes: Change[] }) {
  if (changes.length === 0) return null;
  return (
    <Table
      title={say("observe.changes")}
      columns={CHANGES}
      rows={changes}
      keyOf={(each) => `${each.at} ${each.label}`}
    />
  );
}

const CHANGES: readonly Column<Change>[] = [
  {
    head: say("observe.at"),
    as: "muted",
    cell: ({ at }) => <Time at={new Date(at).toISOString()} />,
  },
  { head: say("observe.change"), as: "text", cell: ({ kind }) => say(`observe.kind.${kind}`) },
  { head: say("observe.event"), as: "text", cell: ({ label }) => label },
  {
    head: say("observe.its"),
    cell: ({ at }) => (
      <Link
        from="/observe"
        to="/observe"
        search={(before) => ({ ...before, ...betweenText(at - BEFORE_MS, at + AFTER_MS) })}
      >
        {say("observe.hourBefore")}
      </Link>
    ),
  },
];
