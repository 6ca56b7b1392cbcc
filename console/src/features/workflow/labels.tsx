import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { read, write } from "@/api/client";
import frame from "@/design/page.module.css";
import { Button, TextField, Time } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { say } from "@/model/messages";
import styles from "./page.module.css";

interface Props {
  name: string;
  newest: number;
}

/** The labels; before one moves, the verdict on callers of its former version is shown. */
export function Labels({ name, newest }: Props) {
  const client = useQueryClient();
  const [label, setLabel] = useState("");
  const [version, setVersion] = useState(newest);
  const [error, setError] = useState<unknown>();
  const found = useQuery({
    queryKey: ["workflow", name, "labels"],
    queryFn: ({ signal }) => read("/api/v1/workflows/{name}/labels", { path: { name }, signal }),
  });
  const labels = found.data?.labels ?? [];
  const former = labels.find((each) => each.label === label)?.version;
  const act = async (change: () => Promise<unknown>) => {
    setError(undefined);
    try {
      await change();
      await client.invalidateQueries({ queryKey: ["workflow", name] });
    } catch (raised) {
      setError(raised);
    }
  };
  const move = () =>
    act(() =>
      write("PUT /api/v1/workflows/{name}/labels/{label}", {
        path: { name, label },
        body: { version },
      }),
    );
  const rollback = (each: string) =>
    act(() =>
      write("POST /api/v1/workflows/{name}/labels/{label}:rollback", {
        path: { name, label: each },
      }),
    );
  return (
    <section aria-label={say("workflow.labels")}>
      <h2>{say("workflow.labels")}</h2>
      {found.data && labels.length === 0 && <p className="muted">{say("workflow.noLabels")}</p>}
      <ul>
        {labels.map((each) => (
          <li key={each.label}>
            {say("workflow.moved", { label: each.label, version: each.version })}{" "}
            <span className="muted">
              <Time at={each.movedAt} />
            </span>
            {each.previousVersion ? (
              <Button small onClick={() => void rollback(each.label)}>
                {say("workflow.rollback", { label: each.label })}
              </Button>
            ) : null}
          </li>
        ))}
      </ul>
      <div className={styles.setting}>
        <TextField label={say("workflow.newLabel")} value={label} change={setLabel} />
        <TextField
          label={say("workflow.chosen")}
          type="number"
          min={1}
          max={newest}
          value={version}
          change={(text) => setVersion(Number(text))}
        />
        <Button disabled={!label} onClick={() => void move()}>
          {former === undefined
            ? say("workflow.setLabel")
            : say("workflow.move", { label, version })}
        </Button>
      </div>
      {former !== undefined && former !== version && (
        <Verdict name={name} from={former} to={version} />
      )}
      {error !== undefined && <Problem error={error} title={say("workflow.impossible")} />}
    </section>
  );
}

function Verdict({ name, from, to }: { name: string; from: number; to: number }) {
  const found = useQuery({
    queryKey: ["workflow", name, "compatibility", from, to],
    queryFn: ({ signal }) =>
      read("/api/v1/workflows/{name}/compatibility", {
        path: { name },
        query: { from, to },
        signal,
      }),
    retry: false,
  });
  if (!found.data) return null;
  const { verdict, reasons } = found.data;
  return (
    <div className={`${frame.verdict} ${styles.verdict}`} data-verdict={verdict} role="status">
      {say("workflow.verdictOf", { from, to })} <strong>{say(`builder.verdict.${verdict}`)}</strong>
      <ul>
        {reasons.map((each) => (
          <li key={`${each.path} ${each.message}`}>
            <code>{each.path}</code> {each.message}
          </li>
        ))}
      </ul>
    </div>
  );
}
