import "../../../messages/records";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { read } from "@/api/client";
import { usePages } from "@/api/pages";
import type { StoredEventValue, StreamValue } from "@/api/schema";
import { Page } from "@/app/pageHeader";
import { Listing } from "@/design/listing";
import { Time } from "@/design/primitives";
import type { Column } from "@/design/table";
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
    <Page
      title={say("streams.title")}
      actions={
        <Link to="/messages" className="muted">
          {say("messages.title")}
        </Link>
      }
    >
      <Listing
        query={query}
        expected={8}
        none={say("streams.none")}
        noneHint={say("streams.noneHint")}
        title={say("streams.count", { count: streams.length })}
        columns={STREAMS}
        rows={streams}
        keyOf={(each) => each.stream}
      />
      {chosen && <Events stream={chosen} />}
    </Page>
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
    <Listing
      query={query}
      expected={4}
      none={say("streams.empty", { stream })}
      title={say("streams.events", { stream })}
      columns={EVENTS}
      rows={query.data?.events ?? []}
      keyOf={(each) => each.version}
    />
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
