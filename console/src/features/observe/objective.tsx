import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { read } from "@/api/client";
import { TextField } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { count, percent } from "@/model/durations";
import { say } from "@/model/messages";
import styles from "./page.module.css";

const DAY_S = 86_400;

/** The state of a service level objective of the chosen workflow. */
export function Objective({ workflow }: { workflow: string | undefined }) {
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
  return (
    <section aria-label={say("observe.objective")} className={styles.part}>
      <h2>{say("observe.objective")}</h2>
      {!workflow && <p className="muted">{say("observe.choose")}</p>}
      {workflow && (
        <div className={styles.filters}>
          <TextField label={say("observe.target")} value={target} change={setTarget} />
          <TextField label={say("observe.window")} value={days} change={setDays} />
        </div>
      )}
      {error && <Problem error={error} retry={() => void refetch()} />}
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
    </section>
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
