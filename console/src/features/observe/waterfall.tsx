import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { read } from "@/api/client";
import type { KeptLog, SpanValue } from "@/api/schema";
import { Empty, Skeleton } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { Table } from "@/design/table";
import { duration } from "@/model/durations";
import { say } from "@/model/messages";
import type { Family } from "@/model/status";
import { LOGS } from "./lists";
import styles from "./waterfall.module.css";

interface Props {
  /** The execution whose request is shown, or the trace. */
  execution: string | undefined;
  trace: string | undefined;
}

/** A request: its calls, executions and attempts on workers on one axis of time, and their records. */
export function Waterfall({ execution, trace }: Props) {
  const asked = execution ? { executionId: execution } : { trace };
  const { data, error, refetch } = useQuery({
    queryKey: ["observe", "spans", asked],
    queryFn: ({ signal }) =>
      read("/api/v1/observe/spans", {
        query: asked as { executionId?: string; trace?: string },
        signal,
      }),
    placeholderData: (before) => before,
  });
  if (error) return <Problem error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton rows={4} />;
  return (
    <section aria-label={say("observe.request")}>
      <h2>{say("observe.request")}</h2>
      {data.traceId && (
        <p className="muted">
          {say("observe.trace")} <code>{data.traceId}</code>
        </p>
      )}
      {data.truncated && <p>{say("observe.truncated")}</p>}
      {data.spans.length === 0 ? (
        <Empty title={say("observe.noSpans")}>{say("observe.noSpansHint")}</Empty>
      ) : (
        <Spans spans={data.spans} />
      )}
      <Records logs={data.logs} />
    </section>
  );
}

function Spans({ spans }: { spans: SpanValue[] }) {
  const starts = spans.map((each) => Date.parse(each.start));
  const first = Math.min(...starts);
  const last = Math.max(...spans.map((each, at) => (starts[at] ?? first) + each.durationMs));
  const length = Math.max(1, last - first);
  return (
    <table className={styles.spans}>
      <thead>
        <tr>
          <th scope="col">{say("observe.span")}</th>
          <th scope="col">{say("observe.process")}</th>
          <th scope="col">{say("observe.duration")}</th>
          <th scope="col" className={styles.axis}>
            <span>+0 ms</span>
            <span>+{duration(length)}</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {spans.map((span, at) => {
          const after = (starts[at] ?? first) - first;
          const text = say("observe.spanText", {
            name: span.name,
            process: span.process,
            after: duration(after),
            length: duration(span.durationMs),
            code: span.code,
          });
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: spans have no identity of their own
            <tr key={at} data-kind={span.kind} data-failed={span.failed || undefined}>
              <th scope="row">
                <Name span={span} />
              </th>
              <td className="truncate" title={span.process}>
                {span.process}
              </td>
              <td className="numbers">{duration(span.durationMs)}</td>
              <td>
                <div className={styles.lane} title={text}>
                  <span
                    className={styles.bar}
                    data-family={familyOf(span)}
                    style={{
                      insetInlineStart: `${(100 * after) / length}%`,
                      inlineSize: `${Math.max(0.3, (100 * span.durationMs) / length)}%`,
                    }}
                  />
                </div>
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function familyOf({ failed, open }: SpanValue): Family {
  if (failed) return "failed";
  return open ? "running" : "success";
}

function Name({ span }: { span: SpanValue }) {
  if (span.kind === "call" || !span.executionId) return <code>{span.name}</code>;
  return (
    <Link to="/executions/$executionId" params={{ executionId: span.executionId }}>
      {span.name}
      {span.attempt !== undefined && span.attempt > 1 && ` #${span.attempt}`}
    </Link>
  );
}

function Records({ logs }: { logs: KeptLog[] }) {
  if (logs.length === 0) return null;
  return (
    <Table
      title={say("observe.records")}
      columns={LOGS}
      rows={logs.map((each, at) => ({ ...each, position: at }))}
      keyOf={(each) => each.position}
    />
  );
}
