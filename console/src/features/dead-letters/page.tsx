import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { read } from "@/api/client";
import type { DeadLetterValue } from "@/api/schema";
import { PageHeader } from "@/app/pageHeader";
import { Button, Empty, Skeleton, Time } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { plural } from "@/model/durations";
import { EditDialog } from "./editDialog";
import styles from "./page.module.css";
import { SendDialog, Sent } from "./sendDialog";

const PAGE_SIZE = 50;

/** The bound of one bulk by ids. */
const SELECTED_MAX = 60;

/** Tasks that failed for good: look at them, and send them again, one with other input or many. */
export function DeadLettersPage() {
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [edited, setEdited] = useState<DeadLetterValue>();
  const [sending, setSending] = useState(false);
  const [bulkId, setBulkId] = useState<string>();
  const query = useInfiniteQuery({
    queryKey: ["dead-letters"],
    queryFn: ({ pageParam, signal }) =>
      read("/api/v1/dead-letters", {
        query: { pageSize: PAGE_SIZE, pageToken: pageParam },
        signal,
      }),
    initialPageParam: "",
    getNextPageParam: (last) => last.nextPageToken || undefined,
  });
  const letters = query.data?.pages.flatMap((page) => page.letters) ?? [];
  const tooMany = selected.size > SELECTED_MAX;
  return (
    <>
      <PageHeader
        title="Dead letters"
        actions={<Button onClick={() => void query.refetch()}>Read again</Button>}
      />
      <div className={styles.page}>
        {query.isPending && <Skeleton rows={10} />}
        {query.isError && <Problem error={query.error} retry={() => void query.refetch()} />}
        {query.isSuccess && letters.length === 0 && (
          <Empty title="No dead letters">
            <p>A task appears here when it fails its execution after all attempts.</p>
          </Empty>
        )}
        {letters.length > 0 && (
          <Letters letters={letters} selected={selected} select={setSelected} edit={setEdited} />
        )}
        {query.hasNextPage && (
          <Button className={styles.more} onClick={() => void query.fetchNextPage()}>
            Show more
          </Button>
        )}
      </div>
      {bulkId && <Sent bulkId={bulkId} close={() => setBulkId(undefined)} />}
      {selected.size > 0 && (
        <section className={styles.bar} aria-label="Bulk actions">
          <strong className="numbers">{plural(selected.size, "execution")} selected</strong>
          <Button kind="primary" small disabled={tooMany} onClick={() => setSending(true)}>
            Send again
          </Button>
          <Button kind="quiet" small onClick={() => setSelected(new Set())}>
            Clear
          </Button>
          {tooMany && <span>Select at most {SELECTED_MAX} executions.</span>}
        </section>
      )}
      {edited && <EditDialog letter={edited} close={() => setEdited(undefined)} />}
      {sending && (
        <SendDialog
          ids={[...selected]}
          close={() => setSending(false)}
          started={(id) => {
            setSending(false);
            setSelected(new Set());
            setBulkId(id);
          }}
        />
      )}
    </>
  );
}

interface LettersProps {
  letters: readonly DeadLetterValue[];
  selected: ReadonlySet<string>;
  select: (ids: ReadonlySet<string>) => void;
  edit: (letter: DeadLetterValue) => void;
}

function Letters({ letters, selected, select, edit }: LettersProps) {
  const all = new Set(letters.map((each) => each.executionId));
  const toggle = (id: string) => {
    const next = new Set(selected);
    if (!next.delete(id)) next.add(id);
    select(next);
  };
  return (
    <table className={styles.table}>
      <thead>
        <tr>
          <td>
            <input
              type="checkbox"
              aria-label="Select all shown"
              checked={selected.size === all.size}
              onChange={() => select(selected.size === all.size ? new Set() : all)}
            />
          </td>
          <th>Task</th>
          <th>Workflow</th>
          <th>Error</th>
          <th>Attempts</th>
          <th>Queue</th>
          <th>Failed</th>
          <th>Execution</th>
          <td />
        </tr>
      </thead>
      <tbody>
        {letters.map((letter) => (
          <tr key={`${letter.executionId} ${letter.task}`}>
            <td>
              <input
                type="checkbox"
                aria-label={`Select ${letter.task} of ${letter.executionId}`}
                checked={selected.has(letter.executionId)}
                onChange={() => toggle(letter.executionId)}
              />
            </td>
            <td>
              <bdi>{letter.task}</bdi>
            </td>
            <td>
              <bdi>{letter.workflow}</bdi>
            </td>
            <td className={`${styles.error} truncate`} title={letter.error.message}>
              <b>{letter.error.class}</b> <bdi>{letter.error.message}</bdi>
            </td>
            <td className="numbers">{letter.attempts}</td>
            <td>
              <bdi>{letter.queue}</bdi>
            </td>
            <td className="muted">
              <Time at={letter.failedAt} />
            </td>
            <td className={styles.code}>
              <Link
                to="/executions/$executionId"
                params={{ executionId: letter.executionId }}
                search={{ node: letter.task }}
              >
                {letter.executionId}
              </Link>
            </td>
            <td>
              <Button small onClick={() => edit(letter)}>
                Edit and send again
              </Button>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
