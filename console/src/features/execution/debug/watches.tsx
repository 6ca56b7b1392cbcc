import { useQuery } from "@tanstack/react-query";
import { X } from "lucide-react";
import { type FormEvent, useId, useState } from "react";
import { read } from "@/api/client";
import type { WatchStep } from "@/api/schema";
import { Button, IconButton } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { say } from "@/model/messages";
import { shownText } from "@/values/text";
import { useExecution } from "../data";
import styles from "./watches.module.css";

const PATHS_MAX = 12;
const VALUE_CHARS = 160;
const MARKS_MAX = 24;

interface Props {
  paths: readonly string[];
  change: (paths: readonly string[]) => void;
}

/** Values pinned by their paths: what each is at the moment, and the events that changed it. */
export function Watches({ paths, change }: Props) {
  const [text, setText] = useState("");
  const list = useId();
  const offered = usePaths();
  const add = (event: FormEvent) => {
    event.preventDefault();
    const path = text.trim();
    if (path && !paths.includes(path)) change([...paths, path].slice(-PATHS_MAX));
    setText("");
  };
  return (
    <section className={styles.watches} aria-label={say("watch.title")} data-testid="watches">
      <form onSubmit={add} className={styles.add}>
        <input
          aria-label={say("watch.path")}
          placeholder={say("watch.example")}
          list={list}
          value={text}
          spellCheck={false}
          onChange={(event) => setText(event.target.value)}
        />
        <datalist id={list}>
          {offered.map((path) => (
            <option key={path} value={path} />
          ))}
        </datalist>
        <Button small type="submit" disabled={!text.trim()}>
          {say("watch.add")}
        </Button>
        {paths.length === 0 && <span className="muted">{say("watch.hint")}</span>}
      </form>
      {paths.length > 0 && (
        <ul>
          {paths.map((path) => (
            <Row
              key={path}
              path={path}
              remove={() => change(paths.filter((each) => each !== path))}
            />
          ))}
        </ul>
      )}
    </section>
  );
}

function Row({ path, remove }: { path: string; remove: () => void }) {
  const { executionId, history, at, setAt, select } = useExecution();
  const { data, isError, error, refetch } = useQuery({
    queryKey: ["execution", executionId, "watch", path],
    queryFn: ({ signal }) =>
      read("/api/v1/executions/{executionId}/watch", {
        path: { executionId },
        query: { path },
        signal,
      }),
    placeholderData: (before) => before,
  });
  const moment = at ?? history.lastSequence;
  const steps = data?.steps ?? [];
  const now = steps.findLast((step) => step.sequence <= moment);
  const setter = steps.findLast((step) => step.sequence <= moment && step.action === "set");
  const marks = steps.filter((step) => step.changed);
  return (
    <li className={styles.row} data-path={path}>
      <code className="truncate" title={path}>
        <bdi>{path}</bdi>
      </code>
      {isError ? (
        <Problem error={error} retry={() => void refetch()} title={say("watch.failed")} />
      ) : (
        <>
          <span className={`${styles.value} truncate`} title={shortText(now)} data-testid="value">
            <bdi>{now?.value === undefined ? say("watch.absent") : shortText(now)}</bdi>
          </span>
          <span className={styles.who}>
            {setter?.taskId && (
              <button type="button" onClick={() => select(setter.taskId)}>
                {say("watch.setBy", { task: setter.taskId })}
              </button>
            )}
            {data && data.readers.length > 0 && (
              <span className="muted truncate" title={data.readers.join(", ")}>
                {say("watch.readBy", { tasks: data.readers.slice(0, 3).join(", ") })}
              </span>
            )}
          </span>
          <Marks marks={marks} moment={moment} setAt={setAt} />
        </>
      )}
      <IconButton label={say("watch.remove", { path })} onClick={remove}>
        <X size={13} />
      </IconButton>
    </li>
  );
}

interface MarksProps {
  marks: readonly WatchStep[];
  moment: number;
  setAt: (at: number) => void;
}

/** The events that changed the value; a click moves the moment there. */
function Marks({ marks, moment, setAt }: MarksProps) {
  return (
    <span className={styles.marks}>
      {marks.slice(0, MARKS_MAX).map((step) => (
        <button
          key={step.sequence}
          type="button"
          className="numbers"
          data-past={step.sequence <= moment || undefined}
          title={`${step.event} ${step.taskId ?? ""}: ${shortText(step)}`}
          aria-label={say("watch.mark", { sequence: step.sequence })}
          onClick={() => setAt(step.sequence)}
        >
          {step.sequence}
        </button>
      ))}
      {marks.length > MARKS_MAX && (
        <span className="muted">{say("watch.more", { count: marks.length - MARKS_MAX })}</span>
      )}
    </span>
  );
}

function shortText(step: WatchStep | undefined): string {
  if (step?.value === undefined) return "";
  const text = JSON.stringify(step.value) ?? "";
  return shownText(text.length > VALUE_CHARS ? `${text.slice(0, VALUE_CHARS)}…` : text);
}

/** Paths that can be watched: the input, variables, and the output of each task. */
function usePaths(): readonly string[] {
  const { graph, execution } = useExecution();
  const variables = Object.keys(execution?.variables ?? {});
  const members = (value: unknown, root: string) =>
    value && typeof value === "object" && !Array.isArray(value)
      ? Object.keys(value).map((name) => `${root}.${name}`)
      : [];
  return [
    "input",
    ...members(execution?.input, "input"),
    ...variables.map((name) => `variables.${name}`),
    ...(graph?.nodes ?? []).slice(0, 200).flatMap(({ id }) => {
      const root = `tasks.${id}.output`;
      return [root, ...members(execution?.tasks[id]?.output, root)];
    }),
  ];
}
