import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { read } from "@/api/client";
import type { ScalingDecisionValue } from "@/api/schema";
import { Chart, type LineStyle } from "@/canvas/chart";
import { Time } from "@/design/primitives";
import { type Column, Table } from "@/design/table";
import { count } from "@/model/durations";
import { say } from "@/model/messages";
import type { Columns } from "@/model/series";

const REFRESH_MS = 2_000;
const SHOWN = 20;

/** A chart of wish against count for each spec, and the last decisions with what held them. */
export function Decisions({ specs }: { specs: readonly string[] }) {
  const { data } = useQuery({
    queryKey: ["agents", "decisions"],
    queryFn: ({ signal }) => read("/api/v1/scaling-decisions", { signal }),
    refetchInterval: REFRESH_MS,
  });
  const made = useMemo(() => data?.decisions ?? [], [data]);
  return (
    <>
      {specs.map((spec) => (
        <Chart
          key={spec}
          title={say("agents.chart", { spec })}
          columns={linesOf(made.filter((each) => each.spec === spec))}
          styleOf={styleOf}
          format={(value) => count(value)}
          nothing={say("agents.noDecisions")}
        />
      ))}
      {made.length > 0 && (
        <Table
          title={say("agents.decisions")}
          columns={COLUMNS}
          rows={made.slice(0, SHOWN)}
          keyOf={(each) => `${each.spec} ${each.at}`}
        />
      )}
    </>
  );
}

/** Wish and count by time, oldest first. */
export function linesOf(made: readonly ScalingDecisionValue[]): Columns {
  const ordered = [...made].reverse();
  return {
    times: ordered.map((each) => Date.parse(each.at) / 1_000),
    lines: [
      { name: "wish", values: ordered.map((each) => each.wish) },
      { name: "count", values: ordered.map((each) => each.count) },
    ],
  };
}

function styleOf(name: string): LineStyle {
  return name === "wish"
    ? {
        label: say("agents.wish"),
        colour: ({ family }) => family.attention,
        dash: [6, 3],
      }
    : { label: say("agents.count"), colour: ({ family }) => family.success };
}

const COLUMNS: readonly Column<ScalingDecisionValue>[] = [
  { head: say("agents.at"), as: "muted", cell: (each) => <Time at={each.at} /> },
  { head: say("agents.spec"), as: "id", cell: (each) => each.spec },
  {
    head: say("agents.change"),
    as: "numbers",
    cell: ({ before, count: now }) => `${before} → ${now}`,
  },
  { head: say("agents.wish"), as: "numbers", cell: (each) => each.wish },
  { head: say("agents.held"), as: "text", cell: (each) => each.held.join(", ") || "–" },
  { head: say("agents.reason"), as: "text", cell: (each) => each.reason },
];
