import "../../../messages/pages";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { read, write } from "@/api/client";
import type { BulkAnswer } from "@/api/schema";
import { Page } from "@/app/pageHeader";
import { ActionDialog } from "@/design/actionDialog";
import { Listing } from "@/design/listing";
import { Button, Time } from "@/design/primitives";
import { Status } from "@/design/status";
import { type Column, Table } from "@/design/table";
import { say } from "@/model/messages";
import styles from "./page.module.css";

const FOLLOW_MS = 1_000;

/** Bulk actions with their progress and what they could not do. */
export function BulksPage() {
  const [stopping, setStopping] = useState<BulkAnswer>();
  const query = useQuery({
    queryKey: ["bulks"],
    queryFn: ({ signal }) => read("/api/v1/bulk", { signal }),
    // A bulk has no events of its own; only one that runs is followed.
    refetchInterval: ({ state }) =>
      state.data?.bulks.some((each) => each.status === "running") ? FOLLOW_MS : false,
  });
  const bulks = query.data?.bulks ?? [];
  const failures = bulks.filter((each) => each.failures.length > 0);
  return (
    <Page
      title={say("bulk.title")}
      actions={
        <Link to="/executions" className="muted">
          {say("bulk.select")}
        </Link>
      }
    >
      <Listing
        query={query}
        expected={4}
        none={say("bulk.none")}
        noneHint={say("bulk.noneHint")}
        title={say("bulk.count", { count: bulks.length })}
        columns={columnsOf(setStopping)}
        rows={bulks}
        keyOf={(each) => each.bulkId}
      />
      {failures.map((each) => (
        <Failures key={each.bulkId} bulk={each} />
      ))}
      {stopping && <StopDialog bulk={stopping} close={() => setStopping(undefined)} />}
    </Page>
  );
}

function columnsOf(stop: (bulk: BulkAnswer) => void): readonly Column<BulkAnswer>[] {
  return [
    { head: say("bulk.action"), cell: (each) => <strong>{each.action}</strong> },
    {
      head: say("bulk.filter"),
      cell: ({ filter }) => (
        <Link to="/executions" search={{ q: filter, range: "all" }} title={filter}>
          <code>
            <bdi>{filter}</bdi>
          </code>
        </Link>
      ),
    },
    { head: say("bulk.status"), cell: (each) => <Status status={each.status} /> },
    { head: say("bulk.progress"), cell: (each) => <Progress bulk={each} /> },
    { head: say("bulk.reason"), as: "text", cell: (each) => each.reason || "–" },
    { head: say("bulk.by"), as: "text", cell: (each) => each.actor || "–" },
    { head: say("bulk.started"), as: "muted", cell: (each) => <Time at={each.createdAt} /> },
    {
      head: "",
      cell: (each) =>
        each.status === "running" && (
          <Button small kind="danger" onClick={() => stop(each)}>
            {say("bulk.stop")}
          </Button>
        ),
    },
  ];
}

function Progress({ bulk }: { bulk: BulkAnswer }) {
  const { action, applied, skipped, failed, matched } = bulk;
  return (
    <>
      <progress
        aria-label={say("bulk.progressOf", { action })}
        className={styles.progress}
        max={Math.max(1, matched)}
        value={Math.min(applied + skipped + failed, matched)}
      />{" "}
      <span className="numbers">{say("bulk.done", { applied, skipped, failed, matched })}</span>
    </>
  );
}

const FAILURES: readonly Column<BulkAnswer["failures"][number]>[] = [
  {
    head: say("bulk.execution"),
    cell: ({ executionId }) => (
      <Link to="/executions/$executionId" params={{ executionId }}>
        <code>{executionId}</code>
      </Link>
    ),
  },
  { head: say("bulk.reason"), as: "code", cell: (each) => each.reason },
  { head: say("bulk.message"), cell: (each) => each.message },
];

function Failures({ bulk }: { bulk: BulkAnswer }) {
  return (
    <Table
      title={say("bulk.failures", { action: bulk.action })}
      columns={FAILURES}
      rows={bulk.failures}
      keyOf={(each) => each.executionId}
    />
  );
}

function StopDialog({ bulk, close }: { bulk: BulkAnswer; close: () => void }) {
  const client = useQueryClient();
  const cancel = async (key: string) => {
    await write("POST /api/v1/bulk/{bulkId}:cancel", { path: { bulkId: bulk.bulkId }, key });
    await client.invalidateQueries({ queryKey: ["bulks"] });
    close();
  };
  return (
    <ActionDialog
      title={say("bulk.stopTitle", { action: bulk.action })}
      label={say("bulk.stopIt")}
      danger
      failed={say("bulk.notStopped")}
      close={close}
      act={cancel}
    >
      <p>{say("bulk.stopHint")}</p>
    </ActionDialog>
  );
}
