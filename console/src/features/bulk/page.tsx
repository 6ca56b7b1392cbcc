import "../../../messages/pages";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { read, write } from "@/api/client";
import type { BulkAnswer } from "@/api/schema";
import { PageHeader } from "@/app/pageHeader";
import { Button, Dialog, DialogActions, Empty, Skeleton, Time } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { Status } from "@/design/status";
import { Table } from "@/design/table";
import { say } from "@/model/messages";
import styles from "./page.module.css";

const FOLLOW_MS = 1_000;

/** Bulk actions with their progress and what they could not do. */
export function BulksPage() {
  const [stopping, setStopping] = useState<BulkAnswer>();
  const { data, isPending, isError, error, refetch } = useQuery({
    queryKey: ["bulks"],
    queryFn: ({ signal }) => read("/api/v1/bulk", { signal }),
    // A bulk has no events of its own; only one that runs is followed.
    refetchInterval: ({ state }) =>
      state.data?.bulks.some((each) => each.status === "running") ? FOLLOW_MS : false,
  });
  const bulks = data?.bulks ?? [];
  const failures = bulks.filter((each) => each.failures.length > 0);
  return (
    <>
      <PageHeader
        title={say("bulk.title")}
        actions={
          <Link to="/executions" className="muted">
            {say("bulk.select")}
          </Link>
        }
      />
      <div className={styles.page}>
        {isPending && <Skeleton rows={4} />}
        {isError && <Problem error={error} retry={() => void refetch()} />}
        {data && bulks.length === 0 && <Nothing />}
        {bulks.length > 0 && (
          <Table title={say("bulk.count", { count: bulks.length })} heads={HEADS}>
            {bulks.map((each) => (
              <Row key={each.bulkId} bulk={each} stop={setStopping} />
            ))}
          </Table>
        )}
        {failures.map((each) => (
          <Failures key={each.bulkId} bulk={each} />
        ))}
      </div>
      {stopping && <StopDialog bulk={stopping} close={() => setStopping(undefined)} />}
    </>
  );
}

const HEADS = [
  say("bulk.action"),
  say("bulk.filter"),
  say("bulk.status"),
  say("bulk.progress"),
  say("bulk.reason"),
  say("bulk.by"),
  say("bulk.started"),
  "",
] as const;

function Row({ bulk, stop }: { bulk: BulkAnswer; stop: (bulk: BulkAnswer) => void }) {
  const done = bulk.applied + bulk.skipped + bulk.failed;
  return (
    <tr>
      <td>
        <strong>{bulk.action}</strong>
      </td>
      <td>
        <Link to="/executions" search={{ q: bulk.filter, range: "all" }} title={bulk.filter}>
          <code>
            <bdi>{bulk.filter}</bdi>
          </code>
        </Link>
      </td>
      <td>
        <Status status={bulk.status} />
      </td>
      <td>
        <progress
          aria-label={say("bulk.progressOf", { action: bulk.action })}
          className={styles.progress}
          max={Math.max(1, bulk.matched)}
          value={Math.min(done, bulk.matched)}
        />{" "}
        <span className="numbers">
          {say("bulk.done", {
            applied: bulk.applied,
            skipped: bulk.skipped,
            failed: bulk.failed,
            matched: bulk.matched,
          })}
        </span>
      </td>
      <td>
        <bdi>{bulk.reason || "–"}</bdi>
      </td>
      <td>
        <bdi>{bulk.actor || "–"}</bdi>
      </td>
      <td className="muted">
        <Time at={bulk.createdAt} />
      </td>
      <td>
        {bulk.status === "running" && (
          <Button small kind="danger" onClick={() => stop(bulk)}>
            {say("bulk.stop")}
          </Button>
        )}
      </td>
    </tr>
  );
}

function Failures({ bulk }: { bulk: BulkAnswer }) {
  return (
    <Table
      title={say("bulk.failures", { action: bulk.action })}
      heads={[say("bulk.execution"), say("bulk.reason"), say("bulk.message")]}
    >
      {bulk.failures.map((each) => (
        <tr key={each.executionId}>
          <td>
            <Link to="/executions/$executionId" params={{ executionId: each.executionId }}>
              <code>{each.executionId}</code>
            </Link>
          </td>
          <td>
            <code>{each.reason}</code>
          </td>
          <td>{each.message}</td>
        </tr>
      ))}
    </Table>
  );
}

function StopDialog({ bulk, close }: { bulk: BulkAnswer; close: () => void }) {
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const client = useQueryClient();
  const cancel = async () => {
    setBusy(true);
    try {
      await write("POST /api/v1/bulk/{bulkId}:cancel", { path: { bulkId: bulk.bulkId } });
      await client.invalidateQueries({ queryKey: ["bulks"] });
      close();
    } catch (raised) {
      setError(raised);
      setBusy(false);
    }
  };
  return (
    <Dialog title={say("bulk.stopTitle", { action: bulk.action })} open onClose={close}>
      <p>{say("bulk.stopHint")}</p>
      {error !== undefined && <Problem error={error} title={say("bulk.notStopped")} />}
      <DialogActions>
        <Button onClick={close}>{say("action.back")}</Button>
        <Button kind="danger" disabled={busy} onClick={() => void cancel()}>
          {say("bulk.stopIt")}
        </Button>
      </DialogActions>
    </Dialog>
  );
}

function Nothing() {
  return (
    <Empty title={say("bulk.none")}>
      <p>{say("bulk.noneHint")}</p>
    </Empty>
  );
}
