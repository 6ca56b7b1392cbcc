import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { read, write } from "@/api/client";
import type { BulkAnswer, PreviewAnswer } from "@/api/schema";
import { ActionDialog, ReasonField } from "@/design/actionDialog";
import { Button, TextField } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { say } from "@/model/messages";
import styles from "./bulkBar.module.css";
import type { Row } from "./queries";
import type { Selection } from "./table";

interface Action {
  id: string;
  label: string;
  consequence: string;
  danger?: boolean;
  extra?: { fromFailed?: boolean };
}

const ACTIONS: readonly Action[] = [
  {
    id: "pause",
    label: say("bulkBar.pause"),
    consequence: say("bulkBar.pauseHint"),
  },
  { id: "resume", label: say("bulkBar.resume"), consequence: say("bulkBar.resumeHint") },
  {
    id: "retry",
    label: say("bulkBar.retry"),
    consequence: say("bulkBar.retryHint"),
  },
  {
    id: "rerun",
    label: say("bulkBar.rerun"),
    consequence: say("bulkBar.rerunHint"),
    extra: { fromFailed: true },
  },
  {
    id: "cancel",
    label: say("bulkBar.cancel"),
    consequence: say("bulkBar.cancelHint"),
    danger: true,
  },
  {
    id: "terminate",
    label: say("bulkBar.terminate"),
    consequence: say("bulkBar.terminateHint"),
    danger: true,
  },
];
/** From this count on the number has to be typed. */
const TYPED_FROM = 100;
const IDS_MAX = 60;

interface Props {
  filter: string;
  rows: readonly Row[];
  selection: Selection;
  select: (selection: Selection) => void;
}

/** Actions on the selected rows, or on all that match the filter. */
export function BulkBar({ filter, rows, selection, select }: Props) {
  const [action, setAction] = useState<Action>();
  const [running, setRunning] = useState<BulkAnswer>();
  const chosen = selection.ids.size;
  const target = selection.all ? filter : idFilter(selection.ids);
  if (!selection.all && chosen === 0) {
    return running ? <Progress bulk={running} close={() => setRunning(undefined)} /> : null;
  }
  const tooMany = !selection.all && chosen > IDS_MAX;
  return (
    <div className={styles.bar} role="region" aria-label={say("bulkBar.bar")}>
      <strong className="numbers">
        {selection.all ? say("bulkBar.allMatch") : say("bulkBar.selected", { count: chosen })}
      </strong>
      {!selection.all && (
        <Button small kind="quiet" onClick={() => select({ ids: new Set(), all: true })}>
          {say("bulkBar.selectMatching")}
        </Button>
      )}
      <span className={styles.actions}>
        {ACTIONS.map((each) => (
          <Button
            key={each.id}
            small
            kind={each.danger ? "danger" : "plain"}
            disabled={tooMany}
            title={tooMany ? say("bulkBar.tooMany", { most: IDS_MAX }) : undefined}
            onClick={() => setAction(each)}
          >
            {each.label}
          </Button>
        ))}
        <Button small kind="quiet" onClick={() => select({ ids: new Set(), all: false })}>
          {say("bulkBar.clear")}
        </Button>
      </span>
      {action && (
        <BulkDialog
          action={action}
          filter={target}
          known={rows.filter((row) => selection.ids.has(row.executionId))}
          close={() => setAction(undefined)}
          started={(bulk) => {
            setAction(undefined);
            setRunning(bulk);
            select({ ids: new Set(), all: false });
          }}
        />
      )}
    </div>
  );
}

function idFilter(ids: ReadonlySet<string>): string {
  return `id IN (${[...ids].map((id) => `"${id}"`).join(", ")})`;
}

interface DialogProps {
  action: Action;
  filter: string;
  known: readonly Row[];
  close: () => void;
  started: (bulk: BulkAnswer) => void;
}

function BulkDialog({ action, filter, known, close, started }: DialogProps) {
  const [reason, setReason] = useState("");
  const [typed, setTyped] = useState("");
  const body = { filter, action: action.id, ...action.extra };
  const preview = useQuery({
    queryKey: ["bulk", "preview", body],
    queryFn: () => write("POST /api/v1/bulk", { body: { ...body, preview: true } }),
    gcTime: 0,
  });
  const found = preview.data as PreviewAnswer | undefined;
  const confirmed = !found || found.count <= TYPED_FROM || typed.trim() === String(found.count);
  const run = async (key: string) =>
    started((await write("POST /api/v1/bulk", { body: { ...body, reason }, key })) as BulkAnswer);
  return (
    <ActionDialog
      wide
      title={say("bulkBar.preview", { action: action.label })}
      label={
        found ? say("bulkBar.goes", { action: action.label, count: found.count }) : action.label
      }
      danger={action.danger}
      disabled={!found || found.count === 0 || !reason.trim() || !confirmed}
      failed={say("bulkBar.notStarted")}
      close={close}
      act={run}
    >
      <p>
        {action.consequence} {say("bulkBar.later")}
      </p>
      {preview.isPending && <p className={styles.count}>{say("bulkBar.counting")}</p>}
      {preview.isError && <Problem error={preview.error} retry={() => void preview.refetch()} />}
      {found && (
        <>
          <p className={styles.count}>
            <strong className="numbers">
              {say(
                found.count > found.executionIds.length ? "bulkBar.matchFirst" : "bulkBar.match",
                { count: found.count, shown: found.executionIds.length },
              )}
            </strong>
          </p>
          <ul className={styles.first}>
            {found.executionIds.map((id) => (
              <li key={id}>
                <code>{id}</code>
                <bdi className="truncate">
                  {known.find((row) => row.executionId === id)?.workflowName}
                </bdi>
              </li>
            ))}
          </ul>
        </>
      )}
      <ReasonField hint={say("bulkBar.reasonHint")} value={reason} change={setReason} />
      {found && found.count > TYPED_FROM && (
        <TextField
          label={say("bulkBar.confirm", { number: String(found.count) })}
          inputMode="numeric"
          value={typed}
          change={setTyped}
        />
      )}
    </ActionDialog>
  );
}

const FOLLOW_MS = 500;

function Progress({ bulk, close }: { bulk: BulkAnswer; close: () => void }) {
  const client = useQueryClient();
  const { data } = useQuery({
    queryKey: ["bulk", bulk.bulkId],
    queryFn: async ({ signal }) => {
      const found = await read("/api/v1/bulk/{bulkId}", { path: { bulkId: bulk.bulkId }, signal });
      if (found.status !== "running") void client.invalidateQueries({ queryKey: ["executions"] });
      return found;
    },
    initialData: bulk,
    refetchInterval: ({ state }) => (state.data?.status === "running" ? FOLLOW_MS : false),
  });
  const done = data.applied + data.skipped + data.failed;
  return (
    <div className={styles.bar} role="status">
      <strong>{data.action}</strong>
      <progress max={Math.max(1, data.matched)} value={done} aria-label={say("bulkBar.progress")} />
      <span className="numbers">
        {say("bulk.done", {
          applied: data.applied,
          skipped: data.skipped,
          failed: data.failed,
          matched: data.matched,
        })}
      </span>
      {data.failures[0] && (
        <span
          className="truncate muted"
          title={data.failures.map((each) => `${each.executionId}: ${each.message}`).join("\n")}
        >
          {data.failures[0].message}
        </span>
      )}
      <span className={styles.actions}>
        {data.status === "running" && (
          <Button
            small
            onClick={() =>
              void write("POST /api/v1/bulk/{bulkId}:cancel", { path: { bulkId: bulk.bulkId } })
            }
          >
            {say("bulkBar.stop")}
          </Button>
        )}
        {data.status !== "running" && (
          <Button small kind="quiet" onClick={close}>
            {say("action.close")}
          </Button>
        )}
      </span>
    </div>
  );
}
