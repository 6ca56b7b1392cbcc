import { useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { write } from "@/api/client";
import { useOffered } from "@/app/commands";
import { useKeys } from "@/app/keys";
import { Button } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { StatusMark } from "@/design/status";
import { say } from "@/model/messages";
import { isOpen } from "@/model/status";
import { nodeActions } from "../actionTable";
import { ask as askFor } from "../asking";
import { useExecution } from "../data";
import { useNode } from "../node";
import styles from "./stops.module.css";

const SHOWN_MAX = 12;

/** Step-through: the switch that stops before every task, and the tasks that have stopped. */
export function Stops() {
  const { execution, history, version } = useExecution();
  const breakpoints = useBreakpoints();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the version stands for the statuses
  const stopped = useMemo(
    () => [...history.nodes.keys()].filter((id) => history.statusOf(id, undefined) === "stopped"),
    [history, version],
  );
  const open = execution !== undefined && isOpen(execution.status);
  const ended = open ? undefined : say("stops.ended");
  const first = stopped.slice(0, 1);
  useKeys("debugger", {
    c: first.length > 0 ? () => void breakpoints.release(first) : undefined,
    b: () => void breakpoints.set(!breakpoints.all, []),
  });
  useOffered([
    {
      id: "stop-everywhere",
      label: breakpoints.all ? say("stops.never") : say("stops.everywhere"),
      keys: "b",
      refused: ended,
      run: () => void breakpoints.set(!breakpoints.all, []),
    },
  ]);
  if (!open) return null;
  return (
    <section className={styles.stops} aria-label={say("stops.title")} data-testid="stops">
      <label className={styles.switch}>
        <input
          type="checkbox"
          checked={breakpoints.all}
          onChange={(event) => void breakpoints.set(event.target.checked, [])}
        />
        {say("stops.everywhere")}
      </label>
      <Chosen breakpoints={breakpoints} />
      {stopped.length > 0 && (
        <>
          <span className={styles.line}>{say("stops.count", { count: stopped.length })}</span>
          {stopped.slice(0, SHOWN_MAX).map((node) => (
            <Stopped key={node} node={node} release={() => void breakpoints.release([node])} />
          ))}
          {stopped.length > 1 && (
            <Button
              small
              kind="primary"
              disabled={breakpoints.busy}
              onClick={() => void breakpoints.release(stopped)}
            >
              {say("stops.all", { count: stopped.length })}
            </Button>
          )}
        </>
      )}
      {breakpoints.error !== undefined && (
        <Problem error={breakpoints.error} title={say("stops.failed")} />
      )}
    </section>
  );
}

/** The nodes with a breakpoint of their own; a click takes one away. */
function Chosen({ breakpoints }: { breakpoints: Breakpoints }) {
  const { node, graph } = useExecution();
  const { nodes, all, set } = breakpoints;
  if (all) return null;
  const here = node !== undefined && nodes.includes(node);
  const possible = node !== undefined && graph?.index.has(node);
  return (
    <>
      {nodes.map((each) => (
        <Button
          key={each}
          small
          title={say("stops.remove", { task: each })}
          onClick={() =>
            void set(
              false,
              nodes.filter((one) => one !== each),
            )
          }
        >
          <i className={styles.dot} aria-hidden /> {each} ×
        </Button>
      ))}
      {possible && !here && (
        <Button small onClick={() => void set(false, [...nodes, node])}>
          {say("stops.add", { task: node })}
        </Button>
      )}
      {!possible && nodes.length === 0 && <span className="muted">{say("stops.hint")}</span>}
    </>
  );
}

function Stopped({ node, release }: { node: string; release: () => void }) {
  const { execution, status, select } = useExecution();
  const { data } = useNode(node);
  if (!execution) return null;
  const task = execution.tasks[node];
  const actions = nodeActions({ execution, status }, "stopped", task, data?.input);
  const edit = actions.find((each) => each.id === "continue");
  const others = actions.filter((each) => each.id === "skip" || each.id === "complete");
  return (
    <span className={styles.stopped} data-family="attention">
      <button type="button" className={styles.name} onClick={() => select(node)}>
        <StatusMark status="stopped" named />
        <bdi className="truncate">{node}</bdi>
      </button>
      <Button small kind="primary" title={say("stops.continueHint")} onClick={release}>
        {say("stops.continue")}
      </Button>
      {edit && (
        <Button small onClick={() => askFor(edit, node)}>
          {say("stops.edit")}
        </Button>
      )}
      {others.map((action) => (
        <Button key={action.id} small onClick={() => askFor(action, node)}>
          {action.label}
        </Button>
      ))}
    </span>
  );
}

interface Breakpoints {
  all: boolean;
  nodes: readonly string[];
  busy: boolean;
  error: unknown;
  set: (all: boolean, nodes: readonly string[]) => Promise<void>;
  release: (nodes: readonly string[]) => Promise<void>;
}

function useBreakpoints(): Breakpoints {
  const { executionId, execution } = useExecution();
  const client = useQueryClient();
  /** What was asked for, shown until the state that has it is read. */
  const [asked, ask] = useState<{ all: boolean; nodes: readonly string[] }>();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const attempt = async (call: () => Promise<unknown>) => {
    setBusy(true);
    setError(undefined);
    try {
      await call();
    } catch (raised) {
      setError(raised);
    }
    await client.invalidateQueries({ queryKey: ["execution", executionId] });
    ask(undefined);
    setBusy(false);
  };
  const { all = false, nodes = [] } = asked ?? execution?.breakpoints ?? {};
  return {
    all,
    nodes,
    busy,
    error,
    set: (wanted, chosen) => {
      ask({ all: wanted, nodes: chosen });
      return attempt(() =>
        write("PUT /api/v1/executions/{executionId}/breakpoints", {
          path: { executionId },
          body: { all: wanted, nodes: [...chosen] },
        }),
      );
    },
    release: (stopped) =>
      attempt(async () => {
        for (const node of stopped) {
          await write("POST /api/v1/executions/{executionId}/nodes/{node}:continue", {
            path: { executionId, node },
            body: { reason: say("stops.reason") },
          });
        }
      }),
  };
}
