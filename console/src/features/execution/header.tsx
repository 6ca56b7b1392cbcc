import { Link } from "@tanstack/react-router";
import { ArrowRight } from "lucide-react";
import { PageHeader } from "@/app/pageHeader";
import { Button, CopyButton, Elapsed, Time } from "@/design/primitives";
import { Status } from "@/design/status";
import { count } from "@/model/durations";
import { say } from "@/model/messages";
import { isOpen } from "@/model/status";
import { shownText } from "@/values/text";
import { Actions } from "./actions";
import { type Action, executionActions } from "./actionTable";
import { ask } from "./asking";
import { type Cause, causeOf } from "./cause";
import { type ExecutionData, useExecution } from "./data";
import styles from "./header.module.css";

/** The status at the moment: what a running execution needs of a person, if it needs that. */
function neededStatus({ status, execution, statusOf }: ExecutionData): string {
  if (status !== "running") return status;
  const found = new Set(Object.keys(execution?.tasks ?? {}).map(statusOf));
  return NEEDS.find((each) => found.has(each)) ?? status;
}

const NEEDS = ["onHold", "asking", "stopped"] as const;

/** Status, the cause in a sentence with the next action, and the facts of the execution. */
export function Header() {
  const data = useExecution();
  const { execution, executionId, status } = data;
  const cause = causeOf(data);
  // A moment of the past ends the time that is counted.
  const until =
    data.at === undefined ? execution?.endedAt : data.history.eventAt(data.at)?.timestamp;
  return (
    <PageHeader
      title={execution?.workflowName ?? executionId}
      crumbs={<Link to="/executions">Executions</Link>}
      beside={
        <>
          <Status status={neededStatus(data)} badge />
          {execution?.archived && <span className={styles.id}>{say("executions.archive")}</span>}
          <span className={styles.id}>
            <code className="truncate">{executionId}</code>
            <CopyButton text={executionId} label="Copy the id" />
          </span>
        </>
      }
      actions={<Actions />}
    >
      {cause && <CauseLine cause={cause} />}
      <dl className={styles.facts}>
        <Fact label="Started">
          <Time at={execution?.startedAt} />
        </Fact>
        <Fact label={isOpen(status) ? "Running for" : "Duration"}>
          <Elapsed from={execution?.startedAt} to={until} />
        </Fact>
        <Fact label="Workflow">
          <code>
            {execution?.workflow} v{execution?.version}
          </code>
        </Fact>
        <Fact label="Events">
          <span className="numbers">{count(data.history.lastSequence)}</span>
        </Fact>
        <Fact label="Signals">
          <Link to="/observe" search={{ execution: executionId }}>
            Request
          </Link>
        </Fact>
        <Relations />
      </dl>
    </PageHeader>
  );
}

function CauseLine({ cause }: { cause: Cause }) {
  const { select } = useExecution();
  const { task } = cause;
  return (
    <p className={styles.cause} data-family={cause.family} data-testid="cause">
      <span>
        {task && (
          <>
            <button type="button" className={styles.task} onClick={() => select(task)}>
              {task}
            </button>
            {": "}
          </>
        )}
        <bdi>{cause.sentence}</bdi>
        {cause.until && (
          <>
            {" ("}
            <Time at={cause.until} />)
          </>
        )}
        {cause.others > 0 && <span className="muted"> (and {cause.others} more)</span>}
        {cause.answer && <code className={styles.answer}>{shownText(cause.answer)}</code>}
      </span>
      <NextStep cause={cause} />
    </p>
  );
}

/** The action that ends the wait as a button, or the remedy in words. */
function NextStep({ cause }: { cause: Cause }) {
  const { execution, status, select } = useExecution();
  const { next } = cause;
  if (!execution || !next) {
    return cause.remedy ? (
      <span className={styles.remedy}>
        <ArrowRight size={13} aria-hidden />
        <Remedy text={cause.remedy} />
      </span>
    ) : null;
  }
  const action = executionActions({ execution, status }).find((each) => each.id === next.action);
  const act = () => {
    if (!action) select(cause.task);
    else ask(next.signal ? withSignal(action, next.signal) : action);
  };
  return (
    <Button small icon={<ArrowRight size={13} />} onClick={act}>
      {next.label}
    </Button>
  );
}

function withSignal(action: Action, signal: string): Action {
  const inputs = action.inputs.map((input) =>
    input.name === "signal" ? { ...input, initial: signal } : input,
  );
  return { ...action, inputs };
}

/** The remedy as the server says it; commands in it are code. */
function Remedy({ text }: { text: string }) {
  return (
    <span>
      {text.split("`").map((part, index) =>
        // biome-ignore lint/suspicious/noArrayIndexKey: the parts of one text
        index % 2 === 1 ? <code key={index}>{part}</code> : <span key={index}>{part}</span>,
      )}
    </span>
  );
}

function Relations() {
  const { execution } = useExecution();
  if (!execution) return null;
  const links = [
    ["Parent", execution.parent?.executionId],
    ["Rerun of", execution.origin?.executionId],
    ["Continued from", execution.continuedFrom],
    ["Continued as", execution.continuedAs],
  ] as const;
  return links.map(
    ([label, id]) =>
      id && (
        <Fact key={label} label={label}>
          <Link to="/executions/$executionId" params={{ executionId: id }} className="mono">
            {id}
          </Link>
          {id === execution.origin?.executionId && (
            <Link
              to="/executions/compare"
              search={{ left: id, right: execution.executionId }}
              className={styles.beside}
            >
              {say("execution.compareOrigin")}
            </Link>
          )}
        </Fact>
      ),
  );
}

function Fact({ label, children }: { label: string; children: React.ReactNode }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}
