import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { read } from "@/api/client";
import type { CompareSearch } from "@/app/routes";
import { Button, Empty, TextField, Time } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { Status } from "@/design/status";
import { say } from "@/model/messages";
import styles from "./page.module.css";

const OTHERS = 20;

interface Props {
  left: string | undefined;
  choose: (values: Partial<CompareSearch>) => void;
}

/** The ids of the two executions; for a known one its last siblings are offered. */
export function Chooser({ left, choose }: Props) {
  const [one, setOne] = useState(left ?? "");
  const [other, setOther] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    choose({ left: one.trim() || undefined, right: other.trim() || undefined });
  };
  return (
    <div className={styles.page}>
      <form className={styles.choose} onSubmit={submit}>
        <TextField label={say("compare.leftId")} value={one} spellCheck={false} change={setOne} />
        <TextField
          label={say("compare.rightId")}
          value={other}
          spellCheck={false}
          change={setOther}
        />
        <Button type="submit" kind="primary" disabled={!one.trim()}>
          {other.trim() ? say("compare.go") : say("compare.find")}
        </Button>
      </form>
      {left ? (
        <Siblings left={left} choose={choose} />
      ) : (
        <Empty title={say("compare.none")}>
          <p>{say("compare.noneHint")}</p>
        </Empty>
      )}
    </div>
  );
}

function Siblings({ left, choose }: { left: string } & Pick<Props, "choose">) {
  const { data, isError, error, refetch } = useQuery({
    queryKey: ["compare", "siblings", left],
    queryFn: async ({ signal }) => {
      const path = { executionId: left };
      const { workflow } = await read("/api/v1/executions/{executionId}", { path, signal });
      const query = { workflow, pageSize: OTHERS + 1 };
      const listed = await read("/api/v1/executions", { query, signal });
      const others = listed.executions.filter((each) => each.executionId !== left);
      return { workflow, others: others.slice(0, OTHERS) };
    },
  });
  if (isError) return <Problem error={error} retry={() => void refetch()} />;
  if (!data) return null;
  if (data.others.length === 0) {
    return <Empty title={say("compare.alone", { workflow: data.workflow })} />;
  }
  return (
    <section>
      <h2>{say("compare.siblings", { workflow: data.workflow })}</h2>
      <ul className={styles.siblings}>
        {data.others.map((each) => (
          <li key={each.executionId}>
            <Status status={each.status} />
            <code className="truncate">{each.executionId}</code>
            <span className="muted">
              <Time at={each.startedAt} />
            </span>
            <Button small onClick={() => choose({ left, right: each.executionId })}>
              {say("compare.with")}
            </Button>
          </li>
        ))}
      </ul>
    </section>
  );
}
