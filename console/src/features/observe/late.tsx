import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { read } from "@/api/client";
import type { CountGroup } from "@/api/schema";
import { TextField } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { type Column, Table } from "@/design/table";
import { count } from "@/model/durations";
import { quoted } from "@/model/filter";
import { say } from "@/model/messages";
import styles from "./page.module.css";
import { betweenText, executionsOf, type Span } from "./span";

/** Slow executions of the chosen workflow, counted by a member of their input. */
export function Late({ span, workflow }: { span: Span; workflow: string | undefined }) {
  const [member, setMember] = useState("customer.name");
  const [slower, setSlower] = useState("500ms");
  const slow = `duration > ${quoted(slower)}`;
  const filter = `${slow} AND ${executionsOf(span, workflow)}`;
  const field = `input.${member}`;
  const { data, error, refetch } = useQuery({
    queryKey: ["observe", "late", filter, field],
    queryFn: ({ signal }) =>
      read("/api/v1/executions:count", { query: { filter, groupBy: [field] }, signal }),
    enabled: Boolean(workflow && member && slower),
    retry: false,
  });
  if (!workflow) return null;
  const { from, to } = betweenText(span.from, span.to);
  const columns: readonly Column<CountGroup>[] = [
    { head: say("observe.value"), as: "text", cell: ({ values }) => values[field] || "–" },
    {
      head: say("observe.number"),
      as: "numbers",
      cell: ({ values, count: number }) => {
        const value = values[field];
        const same = value ? `${field} = ${quoted(value)}` : `${field} = null`;
        const q = `workflow = ${quoted(workflow)} AND ${slow} AND ${same}`;
        return (
          <Link to="/executions" search={{ q, from, to }}>
            {count(number)}
          </Link>
        );
      },
    },
  ];
  return (
    <section aria-label={say("observe.late")} className={styles.part}>
      <div className={styles.filters}>
        <TextField label={say("observe.slowerThan")} value={slower} change={setSlower} />
        <TextField label={say("observe.member")} value={member} change={setMember} />
      </div>
      {error && <Problem error={error} retry={() => void refetch()} />}
      {data && (
        <Table
          title={say("observe.late")}
          columns={columns}
          rows={data.groups}
          keyOf={({ values }) => String(values[field])}
        />
      )}
    </section>
  );
}
