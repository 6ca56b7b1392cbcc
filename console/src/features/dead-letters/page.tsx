import "../../../messages/pages";
import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { read } from "@/api/client";
import type { DeadLetterValue } from "@/api/schema";
import { useKeys } from "@/app/keys";
import { PageHeader } from "@/app/pageHeader";
import frame from "@/design/page.module.css";
import { Button, Empty } from "@/design/primitives";
import { Loading } from "@/design/problem";
import { quoted } from "@/model/filter";
import { say } from "@/model/messages";
import { DiscardDialog, Discarded } from "./discardDialog";
import { EditDialog } from "./editDialog";
import { type Group, Groups } from "./groups";
import { Letters } from "./letters";
import styles from "./page.module.css";
import { SendDialog, Sent } from "./sendDialog";

const PAGE_SIZE = 50;

/** The bound of one bulk by ids. */
const SELECTED_MAX = 60;

/** Tasks that failed for good: look at them, and send them again, one with other input or many. */
export function DeadLettersPage() {
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [group, setGroup] = useState<Group>();
  const [whole, setWhole] = useState(false);
  const [edited, setEdited] = useState<DeadLetterValue>();
  const [asked, setAsked] = useState<"send" | "discard">();
  const [bulkId, setBulkId] = useState<string>();
  const [discarded, setDiscarded] = useState<readonly string[]>([]);
  const client = useQueryClient();
  const query = useInfiniteQuery({
    queryKey: ["dead-letters", "list", group?.filter ?? ""],
    queryFn: ({ pageParam, signal }) =>
      read("/api/v1/dead-letters", {
        query: { filter: group?.filter, pageSize: PAGE_SIZE, pageToken: pageParam },
        signal,
      }),
    initialPageParam: "",
    getNextPageParam: (last) => last.nextPageToken || undefined,
  });
  const letters = query.data?.pages.flatMap((page) => page.letters) ?? [];
  const select = (ids: ReadonlySet<string>) => {
    setSelected(ids);
    setWhole(false);
  };
  const none = () => select(new Set());
  const choose = (next: Group | undefined) => {
    none();
    setGroup(next);
  };
  const fresh = () => void client.invalidateQueries({ queryKey: ["dead-letters"] });
  useKeys("list", { Escape: none });
  return (
    <>
      <PageHeader
        title={say("letters.title")}
        actions={<Button onClick={fresh}>{say("action.again")}</Button>}
      />
      <div className={frame.whole}>
        <Loading query={query} rows={10} />
        {query.isSuccess && letters.length === 0 && !query.hasNextPage && (
          <Empty title={say("letters.none")}>
            <p>{say("letters.noneHint")}</p>
          </Empty>
        )}
        <Groups chosen={group} choose={choose} />
        {letters.length > 0 && (
          <Letters letters={letters} selected={selected} select={select} edit={setEdited} />
        )}
        {query.hasNextPage && (
          <Button className={frame.more} onClick={() => void query.fetchNextPage()}>
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
        <Bar
          selected={whole && group ? group.count : selected.size}
          whole={whole}
          group={group}
          all={() => setWhole(true)}
          ask={setAsked}
          clear={none}
        />
      )}
      {edited && <EditDialog letter={edited} close={() => setEdited(undefined)} />}
      {asked === "send" && (
        <SendDialog
          filter={whole && group ? group.filter : `id IN (${[...selected].map(quoted).join(", ")})`}
          count={whole && group ? group.count : selected.size}
          close={() => setAsked(undefined)}
          started={(id) => {
            setAsked(undefined);
            none();
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
            none();
            fresh();
          }}
        />
      )}
    </>
  );
}

interface BarProps {
  /** The number of chosen executions. */
  selected: number;
  /** Whether these are all of the group, loaded or not. */
  whole: boolean;
  group: Group | undefined;
  all: () => void;
  ask: (what: "send" | "discard") => void;
  clear: () => void;
}

function Bar({ selected, whole, group, all, ask, clear }: BarProps) {
  const tooMany = !whole && selected > SELECTED_MAX;
  return (
    <section className={styles.bar} aria-label={say("letters.bulk")}>
      <strong className="numbers">{say("letters.selected", { count: selected })}</strong>
      {group && !whole && group.count > selected && (
        <Button small onClick={all}>
          {say("letters.selectGroup", { count: group.count })}
        </Button>
      )}
      <Button kind="primary" small disabled={tooMany} onClick={() => ask("send")}>
        {say("letters.send")}
      </Button>
      <Button kind="danger" small disabled={tooMany || whole} onClick={() => ask("discard")}>
        {say("letters.discard")}
      </Button>
      <Button kind="quiet" small onClick={clear}>
        {say("action.clear")}
      </Button>
      {tooMany && <span>{say("letters.tooMany", { most: SELECTED_MAX })}</span>}
    </section>
  );
}
