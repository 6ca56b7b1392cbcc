import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { newKey, write } from "@/api/client";
import type { DecisionValue, PendingApproval } from "@/api/schema";
import { prefer, usePreference } from "@/app/preferences";
import { sessionQuery } from "@/app/session";
import { AreaField } from "@/design/fields";
import { Button, Field, Time } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { Status } from "@/design/status";
import { titleOf } from "@/model/approvals";
import { say } from "@/model/messages";
import { initialOf, type Json, type JsonSchema, problemsOf, resolved } from "@/model/schema";
import { SchemaForm } from "@/values/schemaForm";
import { ValueTree } from "@/values/valueTree";
import styles from "./page.module.css";

/** What is asked, what has been decided, and a form to decide. */
export function DecisionPanel({ approval }: { approval: PendingApproval }) {
  const { executionId, task, workflow } = approval;
  const { decisions, needed, assignees, dueAt } = approval.approval;
  const { data } = (approval.approval.details ?? {}) as { data?: unknown };
  return (
    <section aria-label={say("approvals.decision")} className={styles.panel}>
      <header>
        <h2>
          <bdi>{titleOf(approval)}</bdi>
        </h2>
        <p className="muted">
          <bdi>{workflow}</bdi>
          {", "}
          <Link to="/executions/$executionId" params={{ executionId }} search={{ node: task }}>
            {say("approvals.taskOf", { task, execution: executionId })}
          </Link>
        </p>
      </header>
      <dl className={styles.facts}>
        <dt>{say("approvals.asked")}</dt>
        <dd>
          <Time at={approval.askedAt} />
        </dd>
        <dt>{say("approvals.deciders")}</dt>
        <dd>
          <bdi>{assignees.join(", ") || say("approvals.anyPerson")}</bdi>
        </dd>
        <dt>{say("approvals.needed")}</dt>
        <dd className="numbers">
          {say("approvals.ofNeeded", {
            decided: decisions.length,
            needed: needed || assignees.length || 1,
          })}
        </dd>
        {dueAt && (
          <>
            <dt>{say("approvals.due")}</dt>
            <dd>
              <Time at={dueAt} />
            </dd>
          </>
        )}
      </dl>
      {decisions.length > 0 && <Decisions decisions={decisions} />}
      {data !== undefined && (
        <div>
          <h3>{say("approvals.details")}</h3>
          <ValueTree value={data} root="data" />
        </div>
      )}
      <DecisionForm approval={approval} />
    </section>
  );
}

function Decisions({ decisions }: { decisions: readonly DecisionValue[] }) {
  return (
    <div>
      <h3>{say("approvals.soFar")}</h3>
      <ul className={styles.decisions}>
        {decisions.map((each) => (
          <li key={`${each.by} ${each.at}`}>
            <Status status={each.approved ? "success" : "failed"} />
            <bdi>{each.by}</bdi> <span className="muted">{each.comment}</span>
            <span className="muted">
              <Time at={each.at} />
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function DecisionForm({ approval }: { approval: PendingApproval }) {
  const { executionId, task } = approval;
  const { assignees, form } = approval.approval;
  const schema = form as JsonSchema | undefined;
  const actor = usePreference("actor");
  const [by, setBy] = useState(assignees.includes(actor) ? actor : (assignees[0] ?? actor));
  const [comment, setComment] = useState("");
  const [value, setValue] = useState<Json | undefined>(
    () => schema && initialOf(resolved(schema, schema), schema),
  );
  const [checked, setChecked] = useState(false);
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const [key] = useState(newKey);
  const client = useQueryClient();
  const { data: session } = useQuery(sessionQuery);
  const nameless = !by.trim() && session?.auth === "open";
  const decide = async (approved: boolean) => {
    setChecked(true);
    setError(undefined);
    if (nameless) return;
    if (approved && schema && problemsOf(schema, value).size > 0) return;
    setBusy(true);
    try {
      await write("POST /api/v1/executions/{executionId}/nodes/{node}:decide", {
        path: { executionId, node: task },
        body: {
          approved,
          ...(by.trim() && { by: by.trim() }),
          ...(comment.trim() && { comment: comment.trim() }),
          ...(approved && value !== undefined && { form: value }),
        },
        key: `${key}-${approved}`,
      });
      if (by.trim() && !assignees.length) prefer({ actor: by.trim() });
      await client.invalidateQueries({ queryKey: ["approvals"] });
    } catch (raised) {
      setError(raised);
    }
    setBusy(false);
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void decide(true);
  };
  return (
    <form onSubmit={submit} noValidate className={styles.form}>
      <h3>{say("approvals.yours")}</h3>
      {schema && (
        <SchemaForm schema={schema} value={value} change={setValue} checked={checked} folded />
      )}
      <AreaField
        label={say("approvals.comment")}
        hint={say("approvals.commentHint")}
        value={comment}
        maxLength={1_024}
        change={setComment}
      />
      <Field
        label={say("approvals.as")}
        hint={say("approvals.asHint")}
        error={checked && nameless ? say("approvals.asMissing") : undefined}
      >
        {({ id, describedBy }) => (
          <>
            <input
              id={id}
              aria-describedby={describedBy}
              list={`${id}-names`}
              value={by}
              maxLength={128}
              onChange={(event) => setBy(event.target.value)}
            />
            <datalist id={`${id}-names`}>
              {assignees.map((each) => (
                <option key={each} value={each} />
              ))}
            </datalist>
          </>
        )}
      </Field>
      {error !== undefined && <Problem error={error} title={say("approvals.notRecorded")} />}
      <div className={styles.buttons}>
        <Button kind="danger" disabled={busy} onClick={() => void decide(false)}>
          {say("approvals.reject")}
        </Button>
        <Button kind="primary" type="submit" disabled={busy}>
          {say("approvals.approve")}
        </Button>
      </div>
    </form>
  );
}
