import "../../../messages/records";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { read } from "@/api/client";
import { usePages } from "@/api/pages";
import type { StoredEventValue, StreamValue } from "@/api/schema";
import { PageHeader } from "@/app/pageHeader";
import frame from "@/design/page.module.css";
import { Button, Empty, Time } from "@/design/primitives";
import { Loading } from "@/design/problem";
import { type Column, Table } from "@/design/table";
import { say } from "@/model/messages";
import { ValueTree } from "@/values/valueTree";

const SHOWN_MAX = 50;

/** Streams of the event store, and the newest events of one of them. */
export function StreamsPage() {
  const { stream: chosen } = getRouteApi("/streams").useSearch();
  const { query, rows: streams } = usePages(["streams", "list"], async (pageToken, signal) => {
    const page = await read("/api/v1/streams", { query: { pageToken }, signal });
    return { rows: page.streams, next: page.nextPageToken };
  });
  return (
    <>
      <PageHeader
        title={say("streams.title")}
        actions={
          <Link to="/messages" className="muted">
            {say("messages.title")}
          </Link>
        }
      />
      <div className={frame.page}>
        <Loading query={query} rows={8} />
        {query.isSuccess && streams.length === 0 && (
          <Empty title={say("streams.none")}>
            <p>{say("streams.noneHint")}</p>
          </Empty>
        )}
        {streams.length > 0 && (
          <Table
            title={say("streams.count", { count: streams.length })}
            columns={STREAMS}
            rows={streams}
            keyOf={(each) => each.stream}
          />
        )}
        {query.hasNextPage && (
          <Button onClick={() => void query.fetchNextPage()}>{say("records.more")}</Button>
        )}
        {chosen && <Events stream={chosen} />}
      </div>
    </>
  );
}

function Events({ stream }: { stream: string }) {
  const query = useQuery({
    queryKey: ["streams", "events", stream],
    queryFn: ({ signal }) =>
      read("/api/v1/streams/{stream}/events", {
        path: { stream },
        query: { backwards: true, count: SHOWN_MAX },
        signal,
      }),
  });
  return (
    <>
      <Loading query={query} rows={4} />
      {query.data && (
        <Table
          title={say("streams.events", { stream })}
          columns={EVENTS}
          rows={query.data.events}
          keyOf={(each) => each.version}
        />
      )}
    </>
  );
}

const STREAMS: readonly Column<StreamValue>[] = [
  {
    head: say("streams.stream"),
    as: "id",
    cell: ({ stream }) => (
      <Link to="/streams" search={{ stream }}>
        {stream}
      </Link>
    ),
  },
  { head: say("streams.version"), as: "numbers", cell: (each) => each.version },
  { head: say("streams.changed"), as: "muted", cell: (each) => <Time at={each.changedAt} /> },
  { head: say("streams.created"), as: "muted", cell: (each) => <Time at={each.createdAt} /> },
];

const EVENTS: readonly Column<StoredEventValue>[] = [
  { head: say("streams.version"), as: "numbers", cell: (each) => each.version },
  { head: say("streams.type"), as: "code", cell: (each) => each.type },
  { head: say("streams.at"), as: "muted", cell: (each) => <Time at={each.at} /> },
  { head: say("streams.data"), cell: (each) => <ValueTree value={each.data} root="data" /> },
];
