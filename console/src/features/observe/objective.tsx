import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { read, write } from "@/api/client";
import type { SloValue } from "@/api/schema";
import { Button, TextField } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { type Column, Table } from "@/design/table";
import { count, percent } from "@/model/durations";
import { say } from "@/model/messages";
import styles from "./page.module.css";

const DAY_S = 86_400;

interface Props {
  workflow: string | undefined;
  choose: (workflow: string) => void;
}

/** The state of a service level objective of the chosen workflow, and the stored ones of all. */
export function Objective({ workflow, choose }: Props) {
  const client = useQueryClient();
  const [target, setTarget] = useState("99");
  const [days, setDays] = useState("30");
  const windowS = Math.round(Number(days) * DAY_S);
  const valid = Number(target) > 0 && Number(target) < 100 && windowS >= 3_600;
  const { data, error, refetch } = useQuery({
    queryKey: ["observe", "slo", workflow, target, days],
    queryFn: ({ signal }) =>
      read("/api/v1/observe/slos/{workflow}", {
        path: { workflow: workflow ?? "" },
        query: { target: Number(target), windowS },
        signal,
      }),
    enabled: Boolean(workflow) && valid,
  });
  const store = useMutation({
    mutationFn: () =>
      write("PUT /api/v1/observe/slos/{workflow}", {
        path: { workflow: workflow ?? "" },
        body: { target: Number(target), windowS },
      }),
    onSuccess: () => client.invalidateQueries({ queryKey: ["observe", "slos"] }),
  });
  return (
    <section aria-label={say("observe.objective")} className={styles.part}>
      <h2>{say("observe.objective")}</h2>
      {!workflow && <p className="muted">{say("observe.choose")}</p>}
      {workflow && (
        <div className={styles.filters}>
          <TextField label={say("observe.target")} value={target} change={setTarget} />
          <TextField label={say("observe.window")} value={days} change={setDays} />
          <Button disabled={!valid || store.isPending} onClick={() => store.mutate()}>
            {say("observe.store")}
          </Button>
        </div>
      )}
      {error && <Problem error={error} retry={() => void refetch()} />}
      {store.error && <Problem error={store.error} retry={() => store.mutate()} />}
      {data && (
        <dl className={styles.tiles}>
          <Tile name={say("observe.reached")} value={`${data.reached.toFixed(2)} %`} />
          <Tile
            name={say("observe.budget")}
            value={percent(data.budgetLeft)}
            bad={data.budgetLeft < 0}
          />
          <Tile
            name={say("observe.burnHour")}
            value={data.burnRateHour.toFixed(2)}
            bad={data.burnRateHour > 1}
          />
          <Tile name={say("observe.burn")} value={data.burnRate.toFixed(2)} />
          <Tile
            name={say("observe.counted")}
            value={`${count(data.good)} / ${count(data.good + data.bad)}`}
          />
        </dl>
      )}
      <Stored choose={choose} />
    </section>
  );
}

function Stored({ choose }: Pick<Props, "choose">) {
  const { data } = useQuery({
    queryKey: ["observe", "slos"],
    queryFn: ({ signal }) => read("/api/v1/observe/slos", { signal }),
    refetchInterval: 30_000,
  });
  if (!data?.slos.length) return null;
  const columns: readonly Column<SloValue>[] = [
    {
      head: say("observe.workflow"),
      cell: ({ workflow }) => <Button onClick={() => choose(workflow)}>{workflow}</Button>,
    },
    { head: say("observe.targetOf"), as: "numbers", cell: ({ target }) => `${target} %` },
    {
      head: say("observe.budget"),
      as: "numbers",
      cell: (each) => (each.computedAt ? percent(each.budgetLeft) : "–"),
    },
    {
      head: say("observe.burnHour"),
      as: "numbers",
      cell: (each) => (each.computedAt ? each.burnRateHour.toFixed(2) : "–"),
    },
    {
      head: say("observe.burning"),
      as: "text",
      cell: ({ burning }) => say(burning ? "observe.yes" : "observe.no"),
    },
  ];
  return (
    <Table
      title={say("observe.objectives")}
      columns={columns}
      rows={data.slos}
      keyOf={({ workflow }) => workflow}
    />
  );
}

function Tile({ name, value, bad }: { name: string; value: string; bad?: boolean }) {
  return (
    <div className={styles.tile} data-family={bad ? "attention" : undefined}>
      <dt>{name}</dt>
      <dd>
        <strong className="numbers">{value}</strong>
      </dd>
    </div>
  );
}
