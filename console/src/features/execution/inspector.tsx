import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { X } from "lucide-react";
import { read } from "@/api/client";
import { usePreference } from "@/app/preferences";
import { Button, CopyButton, Fold, IconButton } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { Splitter, useWidth } from "@/design/splitter";
import { Status, StatusMark } from "@/design/status";
import { answerOf } from "@/model/answer";
import { clockTime, duration } from "@/model/durations";
import { dependencies, successors } from "@/model/graph";
import { say } from "@/model/messages";
import { isOpen } from "@/model/status";
import { shownText } from "@/values/text";
import { ValueTree } from "@/values/valueTree";
import { nodeActions } from "./actionTable";
import { ask } from "./asking";
import { useExecution } from "./data";
import styles from "./inspector.module.css";
import { Items } from "./items";
import { useNode } from "./node";

/** All that is known of one node: why it waits, its error, attempts, values and actions. */
export function Inspector({ node, close }: { node: string; close: () => void }) {
  const data = useExecution();
  const { execution, graph, statusOf, at } = data;
  const [width, setWidth] = useWidth("inspector", 380);
  const task = execution?.tasks[node];
  const found = graph?.nodes[graph.index.get(node) ?? -1];
  const status = statusOf(node);
  return (
    <aside className={styles.inspector} style={{ width }} aria-label={`Task ${node}`}>
      <Splitter width={width} setWidth={setWidth} label="Width of the inspector" />
      <header className={styles.head}>
        <div className="truncate">
          <h2 className="truncate" title={node}>
            <bdi>{task?.name ?? found?.name ?? node}</bdi>
          </h2>
          <code className="muted">{task?.type ?? found?.type ?? ""}</code>
        </div>
        <CopyButton text={node} label="Copy the id of the task" />
        <IconButton label="Close" onClick={close}>
          <X size={15} />
        </IconButton>
      </header>
      <div className={styles.body}>
        <div className={styles.status}>
          <Status status={status} badge />
          {task?.workerId && (
            <span className="muted truncate" title={task.workerId}>
              at {task.workerId}
            </span>
          )}
        </div>
        {at === undefined && execution && <NodeActions node={node} />}
        <Why node={node} />
        <Failure node={node} />
        {task?.childExecutionId && (
          <p>
            Child:{" "}
            <Link
              to="/executions/$executionId"
              params={{ executionId: task.childExecutionId }}
              className="mono"
            >
              {task.childExecutionId}
            </Link>
          </p>
        )}
        {data.history.nodes.has(`${node}:undo`) && (
          <p>
            {say("inspector.undo")}{" "}
            <button
              type="button"
              className={styles.link}
              onClick={() => data.select(`${node}:undo`)}
            >
              {`${node}:undo`}
            </button>
          </p>
        )}
        <Items node={node} />
        <Attempts node={node} />
        <Values key={node} node={node} />
        <Neighbours node={node} />
      </div>
    </aside>
  );
}

function NodeActions({ node }: { node: string }) {
  const { execution, status, statusOf } = useExecution();
  const { data } = useNode(node);
  if (!execution) return null;
  const task = execution.tasks[node];
  const actions = nodeActions({ execution, status }, statusOf(node), task, data?.input);
  const possible = actions.filter((action) => !action.refused);
  if (possible.length === 0) return null;
  return (
    <div className={styles.actions}>
      {possible.map((action) => (
        <Button
          key={action.id}
          small
          kind={action.danger ? "danger" : "plain"}
          title={action.consequence}
          onClick={() => ask(action, node)}
        >
          {action.label}
        </Button>
      ))}
    </div>
  );
}

const ENDED = new Set(["ENDED", "NODE_ENDED"]);

/** The causes for which the task waits, asked for this task alone. */
function Why({ node }: { node: string }) {
  const { executionId, execution, at, select } = useExecution();
  const { data } = useQuery({
    queryKey: ["execution", executionId, "explain", node],
    queryFn: ({ signal }) =>
      read("/api/v1/executions/{executionId}/explain", {
        path: { executionId },
        query: { task: node },
        signal,
      }),
    enabled: at === undefined && !!execution && isOpen(execution.status),
  });
  const findings = data?.findings.filter((each) => !ENDED.has(each.cause)) ?? [];
  if (findings.length === 0) return null;
  return (
    <section>
      <h3>Why</h3>
      <ul className={styles.findings}>
        {findings.map((finding) => (
          <li key={`${finding.cause} ${finding.taskId ?? ""}`}>
            {finding.taskId && finding.taskId !== node && (
              <button type="button" onClick={() => select(finding.taskId)}>
                {finding.taskId}
              </button>
            )}{" "}
            {finding.text}
            <small>{finding.remedy.replaceAll("`", "")}</small>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Failure({ node }: { node: string }) {
  const { execution, history, at, statusOf } = useExecution();
  const answer = answerOf(execution?.tasks[node]?.error);
  const error = history.nodes.get(node)?.error;
  // A task that was completed after its failure, by a retry or by hand, has none any more.
  if (!error || statusOf(node) === "success" || (at !== undefined && error.sequence > at))
    return null;
  return (
    <section className={styles.error}>
      <h3>{error.class}</h3>
      <p>
        <bdi>{error.message}</bdi>
      </p>
      {answer && <code>{shownText(answer)}</code>}
    </section>
  );
}

interface Attempt {
  number: number;
  from: number;
  to: number | undefined;
  status: string;
}

function Attempts({ node }: { node: string }) {
  const { history, at } = useExecution();
  const zone = usePreference("zone");
  const attempts = new Map<number, Attempt>();
  for (const change of history.nodes.get(node)?.changes ?? []) {
    if (change.attempt === 0 || (at !== undefined && change.sequence > at)) continue;
    const known = attempts.get(change.attempt);
    const ended = !["queued", "running", "waiting", "asking"].includes(change.status);
    attempts.set(change.attempt, {
      number: change.attempt,
      from: known?.from ?? change.at,
      to: ended ? change.at : undefined,
      status: change.status,
    });
  }
  if (attempts.size === 0) return null;
  return (
    <section>
      <h3>Attempts</h3>
      <ol className={styles.attempts}>
        {[...attempts.values()].map((attempt) => (
          <li key={attempt.number}>
            <StatusMark status={attempt.status} named />
            <span className="numbers">#{attempt.number}</span>
            <span className="numbers muted">{clockTime(attempt.from, zone, true)}</span>
            <span className="numbers">
              {attempt.to === undefined ? "" : duration(attempt.to - attempt.from)}
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}

function Values({ node }: { node: string }) {
  const { history, at, statusOf } = useExecution();
  const { data, isError, error, refetch } = useNode(node);
  const changes = history.nodes.get(node)?.changes ?? [];
  const [first, newest] = [changes[0], changes.at(-1)];
  if (!first || newest?.status === "skipped" || (at !== undefined && first.sequence > at))
    return null;
  if (isError) return <Problem error={error} retry={() => void refetch()} />;
  const ended = at === undefined || (newest !== undefined && newest.sequence <= at);
  const details = data?.error?.details;
  return (
    <>
      {details && statusOf(node) !== "success" && (
        <Fold title={say("inspector.details")} open>
          <ValueTree value={details} root="error" />
        </Fold>
      )}
      {data?.input !== undefined && (
        <Fold title="Input" open>
          <ValueTree value={data.input} root={`tasks.${node}.input`} />
        </Fold>
      )}
      {data?.output !== undefined && ended && (
        <Fold title="Output" open>
          <ValueTree value={data.output} root={`tasks.${node}.output`} />
        </Fold>
      )}
    </>
  );
}

function Neighbours({ node }: { node: string }) {
  const { graph, select, statusOf } = useExecution();
  const place = graph?.index.get(node);
  if (!graph || place === undefined) return null;
  const groups = [
    ["Depends on", dependencies(graph, place)],
    ["Then", successors(graph, place)],
  ] as const;
  return groups.map(
    ([label, places]) =>
      places.length > 0 && (
        <section key={label}>
          <h3>{label}</h3>
          <ul className={styles.neighbours}>
            {places.slice(0, 30).map((each) => {
              const found = graph.nodes[each];
              return (
                found && (
                  <li key={found.id}>
                    <button type="button" onClick={() => select(found.id)}>
                      <StatusMark status={statusOf(found.id)} named />
                      <bdi className="truncate">{found.name}</bdi>
                    </button>
                  </li>
                )
              );
            })}
          </ul>
        </section>
      ),
  );
}
