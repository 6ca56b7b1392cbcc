import { Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { write } from "@/api/client";
import { dryRun } from "@/api/definitions";
import type { Report } from "@/api/schema";
import { Button, Field } from "@/design/primitives";
import { Problem } from "@/design/problem";
import styles from "@/editing/inspector.module.css";
import { inputSchemaOf, keep, kept } from "@/launch/input";
import { InputForm } from "@/launch/inputForm";
import { duration } from "@/model/durations";
import { say } from "@/model/messages";
import { initialOf, type Json, type JsonSchema } from "@/model/schema";
import type { NodeStatus } from "@/model/status";
import type { Task } from "@/text/workflow";
import { SchemaForm } from "@/values/schemaForm";
import { upTo } from "./cut";
import { LiveRun } from "./liveRun";
import { useSession } from "./session";
import { useBuilder } from "./store";

interface Props {
  /** Store the draft; the name once it is stored. */
  save: () => Promise<string | undefined>;
}

/** Runs of the draft: on a virtual clock without storing it, or as a real execution. */
export function RunPanel({ save }: Props) {
  const session = useSession();
  const { workflow, selected, fault, tasks } = useBuilder();
  const mockable = useMemo(() => mocksOf(tasks), [tasks]);
  const name = workflow?.name ?? "";
  const schema = inputSchemaOf(workflow?.value);
  const [input, setInput] = useState<Json | undefined>(
    () => kept(name) ?? initialOf(schema, schema),
  );
  const [mocks, setMocks] = useState<Json | undefined>({});
  const [report, setReport] = useState<Report>();
  const [started, setStarted] = useState<string>();
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const attempt = async (act: () => Promise<void>) => {
    setBusy(true);
    setError(undefined);
    keep(name, input);
    useBuilder.setState({ input });
    try {
      await act();
    } catch (raised) {
      setError(raised);
    } finally {
      setBusy(false);
    }
  };
  const dry = (last: string | undefined) =>
    attempt(async () => {
      setStarted(undefined);
      const text = last ? upTo(session.text, last) : session.text;
      const trial = {
        input: input ?? {},
        mocks: outputs(mocks),
        workflow: name,
      };
      const found = await dryRun(text, trial);
      setReport(found);
      useBuilder.setState({ statuses: statusesOf(found), outputs: outputsOf(found) });
    });
  const run = () =>
    attempt(async () => {
      const stored = await save();
      if (!stored) return;
      setReport(undefined);
      const answer = await write("POST /api/v1/workflows/{name}/start", {
        path: { name: stored },
        body: { input: (input ?? {}) as Record<string, unknown> },
      });
      setStarted(answer.executionId);
    });
  return (
    <section className={styles.panel} aria-label={say("builder.run")}>
      <fieldset>
        <legend>{say("builder.input")}</legend>
        <InputForm schema={schema} value={input} change={setInput} />
      </fieldset>
      <fieldset>
        <legend>{say("builder.mocks")}</legend>
        <p className="muted">{say("builder.mocksHint")}</p>
        <SchemaForm schema={mockable} value={mocks} change={setMocks} checked={false} />
      </fieldset>
      <div className={styles.actions}>
        <Button disabled={busy || !!fault} onClick={() => void dry(undefined)}>
          {say("builder.dryRun")}
        </Button>
        {selected[0] && (
          <Button disabled={busy || !!fault} onClick={() => void dry(selected[0])}>
            {say("builder.runUpTo", { id: selected[0] })}
          </Button>
        )}
        <Button kind="primary" disabled={busy || !!fault} onClick={() => void run()}>
          {say("builder.saveAndRun")}
        </Button>
      </div>
      {error !== undefined && <Problem error={error} title={say("builder.notRun")} />}
      {report && <ReportView report={report} />}
      {started && (
        <>
          <p>
            <Link to="/executions/$executionId" params={{ executionId: started }}>
              {say("builder.started", { id: started })}
            </Link>
          </p>
          <LiveRun id={started} />
        </>
      )}
    </section>
  );
}

function mocksOf(tasks: readonly Task[]): JsonSchema {
  const names = tasks.map((each) => each.id);
  const title = say("builder.mocks");
  return { type: "object", additionalProperties: {}, propertyNames: { enum: names }, title };
}

/** What is written for a task is its output, unless it is a mock of its own, such as a failure. */
function outputs(mocks: Json | undefined): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries((mocks ?? {}) as Record<string, Json>).map(([id, value]) => [
      id,
      isMock(value) ? value : { output: value },
    ]),
  );
}

function isMock(value: Json): boolean {
  if (Array.isArray(value)) return value.length > 0 && value.every(isMock);
  const known = ["output", "failure", "after"];
  const names = value && typeof value === "object" ? Object.keys(value) : [];
  return names.length > 0 && names.every((each) => known.includes(each));
}

const STATUSES: Record<string, NodeStatus> = {
  completed: "success",
  success: "success",
  failed: "failed",
  skipped: "skipped",
  canceled: "canceled",
  running: "running",
  waiting: "waiting",
};

function statusesOf(report: Report): Map<string, NodeStatus> {
  return new Map(
    report.nodes.map((each) => [each.id, STATUSES[each.status.toLowerCase()] ?? "pending"]),
  );
}

function outputsOf({ nodes }: Report): Map<string, unknown> {
  const given = nodes.filter((each) => each.output !== undefined && each.outputFrom !== "none");
  return new Map(given.map(({ id, output }) => [id, output]));
}

function sourceOf(source: string | undefined): string {
  if (!source) return "";
  if (source === "none" || source === "use" || source === "mock") {
    return say(`builder.source.${source}`);
  }
  return say("builder.from", { source });
}

/** The outcome of a dry run by node. */
function ReportView({ report }: { report: Report }) {
  return (
    <section aria-label={say("builder.report")}>
      <h2>
        {say("builder.reportOf", { status: report.status, took: duration(report.durationMs) })}
      </h2>
      {report.error && <p role="alert">{report.error.message}</p>}
      <ul className={styles.nodes}>
        {report.nodes.map((each) => (
          <li key={each.id}>
            <code>{each.id}</code> {each.status}{" "}
            <span className="muted">{sourceOf(each.outputFrom)}</span>
            {each.error && <p>{each.error.message}</p>}
            {each.output !== undefined && each.outputFrom !== "none" && (
              <pre>{JSON.stringify(each.output, undefined, 2)}</pre>
            )}
          </li>
        ))}
      </ul>
      <Field label={say("builder.output")}>
        {({ id }) => <output id={id}>{JSON.stringify(report.output)}</output>}
      </Field>
    </section>
  );
}
