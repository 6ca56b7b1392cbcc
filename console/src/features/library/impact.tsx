/** A changed task: the verdict on each workflow that uses it, before it is stored. */

import { useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { newKey, write } from "@/api/client";
import { validate } from "@/api/definitions";
import type { TaskAnswer, Validation, WorkflowReference } from "@/api/schema";
import { ReasonField } from "@/design/actionDialog";
import { AreaField } from "@/design/fields";
import frame from "@/design/page.module.css";
import { Button } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { type Impact, impactOf } from "@/model/impact";
import { say } from "@/model/messages";
import { jsonFault } from "@/values/jsonFault";
import styles from "./page.module.css";

interface Props {
  task: TaskAnswer;
  users: readonly WorkflowReference[];
}

interface Checked {
  text: string;
  found: Validation;
}

export function ChangeTask({ task, users }: Props) {
  const client = useQueryClient();
  const [before] = useState(() => JSON.stringify(task.definition, undefined, 2));
  const [text, setText] = useState(before);
  const [reason, setReason] = useState("");
  const [checked, setChecked] = useState<Checked>();
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const fault = jsonFault(text);
  const current = checked?.text === text ? checked.found : undefined;
  const act = async (does: () => Promise<void>) => {
    setBusy(true);
    setError(undefined);
    try {
      await does();
    } catch (raised) {
      setError(raised);
    } finally {
      setBusy(false);
    }
  };
  const check = () => act(async () => setChecked({ text, found: await validate(text) }));
  const store = () =>
    act(async () => {
      await write("PUT /api/v1/tasks/{name}", {
        path: { name: task.name },
        query: { reason },
        body: JSON.parse(text),
        key: newKey(),
      });
      await client.invalidateQueries({ queryKey: ["tasks"] });
    });
  return (
    <section aria-label={say("library.change")}>
      <AreaField
        label={say("library.changeText")}
        hint={say("library.changeHint")}
        error={fault}
        className={styles.source}
        rows={12}
        spellCheck={false}
        value={text}
        change={setText}
      />
      <Button disabled={busy || !!fault || text === before} onClick={() => void check()}>
        {say("library.check")}
      </Button>
      {error !== undefined && <Problem error={error} title={say("workflow.impossible")} />}
      {current && <Verdicts found={current} users={users} here={task.namespace} />}
      {current?.valid && (
        <>
          <ReasonField optional value={reason} change={setReason} />
          <Button kind="primary" disabled={busy} onClick={() => void store()}>
            {say("library.store")}
          </Button>
        </>
      )}
    </section>
  );
}

interface VerdictsProps {
  found: Validation;
  users: readonly WorkflowReference[];
  /** The namespace of the task. */
  here: string;
}

function Verdicts({ found, users, here }: VerdictsProps) {
  const { impacts, own } = impactOf(found, users, here);
  const breaking = impacts.filter((each) => each.verdict === "breaks").length;
  return (
    <div
      className={`${frame.verdict} ${styles.verdict}`}
      data-verdict={found.valid ? "compatible" : "breaking"}
      role="status"
    >
      {own.length === 0 && <strong>{say("library.breaking", { count: breaking })}</strong>}
      <ul>
        {own.map((each) => (
          <li key={`${each.path} ${each.message}`}>
            <code>{each.path}</code> {each.message}
          </li>
        ))}
        {impacts.map((each) => (
          <Row key={`${each.namespace} ${each.workflow} ${each.version}`} impact={each} />
        ))}
      </ul>
    </div>
  );
}

function Row({ impact }: { impact: Impact }) {
  const { workflow, namespace, version, verdict, reasons } = impact;
  return (
    <li data-verdict={verdict}>
      {namespace ? (
        <bdi>{`${namespace}/${workflow}`}</bdi>
      ) : (
        <Link to="/workflows/$workflowId" params={{ workflowId: workflow }}>
          {workflow}
        </Link>
      )}{" "}
      <span className="muted">{say("workflow.version", { version })}</span>:{" "}
      {verdict === "stays"
        ? say("library.stays", { version: reasons[0] ?? "" })
        : say(`library.${verdict}`)}
      {verdict === "breaks" && (
        <ul>
          {reasons.map((each) => (
            <li key={each}>{each}</li>
          ))}
        </ul>
      )}
    </li>
  );
}
