import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { read } from "@/api/client";
import type { DeadLetterValue } from "@/api/schema";
import { useKeys } from "@/app/keys";
import { PageHeader } from "@/app/pageHeader";
import { Button, Empty, Skeleton } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { say } from "@/model/messages";
import { DiscardDialog, Discarded } from "./discardDialog";
import { EditDialog } from "./editDialog";
import { Groups, groupOf } from "./groups";
import { Letters } from "./letters";
import styles from "./page.module.css";
import { SendDialog, Sent } from "./sendDialog";

const PAGE_SIZE = 50;

/** The bound of one bulk by ids. */
const SELECTED_MAX = 60;

/** Tasks that failed for good: look at them, and send them again, one with other input or many. */
export function DeadLettersPage() {
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [group, setGroup] = useState<string>();
  const [edited, setEdited] = useState<DeadLetterValue>();
  const [asked, setAsked] = useState<"send" | "discard">();
  const [bulkId, setBulkId] = useState<string>();
  const [discarded, setDiscarded] = useState<readonly string[]>([]);
  const client = useQueryClient();
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
  const all = query.data?.pages.flatMap((page) => page.letters) ?? [];
  const letters = group === undefined ? all : all.filter((each) => groupOf(each) === group);
  const fresh = () => void client.invalidateQueries({ queryKey: ["dead-letters"] });
  useKeys({ Escape: () => setSelected(new Set()) });
  return (
    <>
      <PageHeader
        title={say("letters.title")}
        actions={<Button onClick={fresh}>{say("action.again")}</Button>}
      />
      <div className={styles.page}>
        {query.isPending && <Skeleton rows={10} />}
        {query.isError && <Problem error={query.error} retry={() => void query.refetch()} />}
        {query.isSuccess && all.length === 0 && (
          <Empty title={say("letters.none")}>
            <p>{say("letters.noneHint")}</p>
          </Empty>
        )}
        {all.length > 0 && <Groups letters={all} chosen={group} choose={setGroup} />}
        {letters.length > 0 && (
          <Letters letters={letters} selected={selected} select={setSelected} edit={setEdited} />
        )}
        {query.hasNextPage && (
          <Button className={styles.more} onClick={() => void query.fetchNextPage()}>
            {say("action.more")}
          </Button>
        )}
      </div>
      {bulkId && <Sent bulkId={bulkId} close={() => setBulkId(undefined)} />}
      {discarded.length > 0 && (
        <Discarded
          ids={discarded}
          close={() => setDiscarded([])}
          restored={() => {
            setDiscarded([]);
            fresh();
          }}
        />
      )}
      {selected.size > 0 && (
        <Bar selected={selected} ask={setAsked} clear={() => setSelected(new Set())} />
      )}
      {edited && <EditDialog letter={edited} close={() => setEdited(undefined)} />}
      {asked === "send" && (
        <SendDialog
          ids={[...selected]}
          close={() => setAsked(undefined)}
          started={(id) => {
            setAsked(undefined);
            setSelected(new Set());
            setBulkId(id);
          }}
        />
      )}
      {asked === "discard" && (
        <DiscardDialog
          ids={[...selected]}
          close={() => setAsked(undefined)}
          done={() => {
            setAsked(undefined);
            setDiscarded([...selected]);
            setSelected(new Set());
            fresh();
          }}
        />
      )}
    </>
  );
}

interface BarProps {
  selected: ReadonlySet<string>;
  ask: (what: "send" | "discard") => void;
  clear: () => void;
}

function Bar({ selected, ask, clear }: BarProps) {
  const tooMany = selected.size > SELECTED_MAX;
  return (
    <section className={styles.bar} aria-label={say("letters.bulk")}>
      <strong className="numbers">{say("letters.selected", { count: selected.size })}</strong>
      <Button kind="primary" small disabled={tooMany} onClick={() => ask("send")}>
        {say("letters.send")}
      </Button>
      <Button kind="danger" small disabled={tooMany} onClick={() => ask("discard")}>
        {say("letters.discard")}
      </Button>
      <Button kind="quiet" small onClick={clear}>
        {say("action.clear")}
      </Button>
      {tooMany && <span>{say("letters.tooMany", { most: SELECTED_MAX })}</span>}
    </section>
  );
}
