import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { read } from "@/api/client";
import type { CauseValue, TriggerValue } from "@/api/schema";
import { usePreference } from "@/app/preferences";
import { Button, Skeleton, TextField } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { type Column, Table } from "@/design/table";
import { serverNow } from "@/design/useNow";
import { clockTime, count } from "@/model/durations";
import { say } from "@/model/messages";
import { BackfillDialog } from "./backfillDialog";
import styles from "./page.module.css";

const DAY_MS = 86_400_000;
const SHOWN = 200;

interface Range {
  from: string;
  to: string;
}

/** The causes of a trigger in a range of time by day, and a backfill of them. */
export function CausesPanel({ trigger, close }: { trigger: TriggerValue; close: () => void }) {
  const [range, setRange] = useState<Range>(() => ({
    from: dayOf(serverNow() - 6 * DAY_MS),
    to: dayOf(serverNow() + DAY_MS),
  }));
  const [backfill, setBackfill] = useState(false);
  const path = { name: trigger.workflow, trigger: trigger.id };
  const instants = { from: `${range.from}T00:00:00Z`, to: `${range.to}T00:00:00Z` };
  const valid = Date.parse(instants.from) < Date.parse(instants.to);
  const counted = useQuery({
    queryKey: ["triggers", "count", path, range],
    enabled: valid,
    queryFn: ({ signal }) =>
      read(CAUSES, { path, query: { ...instants, countOnly: true }, signal }),
  });
  const listed = useQuery({
    queryKey: ["triggers", "causes", path, range],
    enabled: valid,
    queryFn: ({ signal }) =>
      read(CAUSES, { path, query: { ...instants, pageSize: SHOWN }, signal }),
  });
  const total = counted.data?.count ?? 0;
  return (
    <section
      aria-label={say("triggers.causesOf", { trigger: trigger.id })}
      className={styles.causes}
    >
      <header>
        <h2>
          <bdi>{say("triggers.causesOf", { trigger: trigger.id })}</bdi>
        </h2>
        <Button small kind="quiet" onClick={close}>
          {say("action.close")}
        </Button>
      </header>
      <div className={styles.range}>
        <DateField
          label={say("triggers.from")}
          value={range.from}
          change={(from) => setRange({ ...range, from })}
        />
        <DateField
          label={say("triggers.to")}
          value={range.to}
          change={(to) => setRange({ ...range, to })}
        />
        <Button disabled={!valid || total === 0} onClick={() => setBackfill(true)}>
          {say("triggers.backfill", { count: total })}
        </Button>
      </div>
      {!valid && <p role="alert">{say("triggers.wrongRange")}</p>}
      {listed.isPending && valid && <Skeleton rows={4} />}
      {listed.isError && <Problem error={listed.error} retry={() => void listed.refetch()} />}
      {counted.isError && <Problem error={counted.error} retry={() => void counted.refetch()} />}
      {listed.data && <Calendar range={range} causes={listed.data.causes} total={total} />}
      {listed.data && <Causes causes={listed.data.causes} total={total} />}
      {backfill && (
        <BackfillDialog
          trigger={trigger}
          range={instants}
          total={total}
          close={() => setBackfill(false)}
        />
      )}
    </section>
  );
}

export const CAUSES = "/api/v1/workflows/{name}/triggers/{trigger}/causes";

function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}

function DateField(props: { label: string; value: string; change: (value: string) => void }) {
  return (
    <TextField
      label={props.label}
      type="date"
      value={props.value}
      change={(text) => text && props.change(text)}
    />
  );
}

const DAYS_MAX = 62;

interface CalendarProps {
  range: Range;
  causes: readonly CauseValue[];
  total: number;
}

/** The number of causes of each day, as tiles. */
function Calendar({ range, causes, total }: CalendarProps) {
  const first = Date.parse(range.from);
  const days = Math.round((Date.parse(range.to) - first) / DAY_MS);
  if (days < 1 || days > DAYS_MAX || causes.length < total) return null;
  const counts = new Map<string, number>();
  for (const cause of causes) {
    const day = dayOf(Date.parse(cause.at));
    counts.set(day, (counts.get(day) ?? 0) + 1);
  }
  const most = Math.max(1, ...counts.values());
  return (
    <ol className={styles.calendar} aria-label={say("triggers.byDay")}>
      {Array.from({ length: days }, (_, index) => dayOf(first + index * DAY_MS)).map((day) => {
        const number = counts.get(day) ?? 0;
        const level = Math.ceil((number / most) * 4);
        return (
          <li key={day} data-level={level} title={say("triggers.dayCount", { day, count: number })}>
            <span>{day.slice(5)}</span>
            <strong className="numbers">{count(number)}</strong>
          </li>
        );
      })}
    </ol>
  );
}

function Causes({ causes, total }: { causes: readonly CauseValue[]; total: number }) {
  const zone = usePreference("zone");
  if (causes.length === 0) return <p className="muted">{say("triggers.noCause")}</p>;
  const title =
    total > causes.length
      ? say("triggers.causesFirst", { shown: causes.length, total })
      : say("triggers.causes");
  const columns: readonly Column<CauseValue>[] = [
    {
      head: say("triggers.time"),
      cell: ({ at, name }) => (
        <time dateTime={at} className="numbers" title={name}>
          {clockTime(Date.parse(at), zone)}
        </time>
      ),
    },
    { head: say("triggers.requestId"), as: "code", cell: (each) => each.requestId },
    { head: say("triggers.problem"), as: "muted", cell: (each) => each.error ?? "–" },
  ];
  return <Table title={title} columns={columns} rows={causes} keyOf={(each) => each.requestId} />;
}
