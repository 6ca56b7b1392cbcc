import "../../../messages/records";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { read } from "@/api/client";
import { usePages } from "@/api/pages";
import type { ExchangeValue, MessageValue, QueueDetails } from "@/api/schema";
import { Page } from "@/app/pageHeader";
import { Listing } from "@/design/listing";
import { Time } from "@/design/primitives";
import { type Column, Table } from "@/design/table";
import { say } from "@/model/messages";
import { ValueTree } from "@/values/valueTree";

const REFRESH_MS = 2_000;
const SHOWN_MAX = 20;

/** Queues of messages with their depths, the messages of one of them, and exchanges. */
export function MessagesPage() {
  const { queue: chosen } = getRouteApi("/messages").useSearch();
  const { query, rows: queues } = usePages(
    ["messages", "queues"],
    async (pageToken, signal) => {
      const page = await read("/api/v1/message-queues", { query: { pageToken }, signal });
      return { rows: page.queues, next: page.nextPageToken };
    },
    REFRESH_MS,
  );
  const exchanges = useQuery({
    queryKey: ["messages", "exchanges"],
    queryFn: ({ signal }) => read("/api/v1/exchanges", { signal }),
  });
  const declared = exchanges.data?.exchanges ?? [];
  return (
    <Page
      title={say("messages.title")}
      actions={
        <Link to="/streams" className="muted">
          {say("streams.title")}
        </Link>
      }
    >
      <Listing
        query={query}
        expected={8}
        none={say("messages.none")}
        noneHint={say("messages.noneHint")}
        title={say("messages.queues", { count: queues.length })}
        columns={QUEUES}
        rows={queues}
        keyOf={(each) => each.queue}
      />
      {chosen && <Messages queue={chosen} />}
      {declared.length > 0 && (
        <Table
          title={say("messages.exchanges", { count: declared.length })}
          columns={EXCHANGES}
          rows={declared}
          keyOf={(each) => each.exchange}
        />
      )}
    </Page>
  );
}

/** The oldest messages of a queue, which stay where they are. */
function Messages({ queue }: { queue: string }) {
  const query = useQuery({
    queryKey: ["messages", "of", queue],
    queryFn: ({ signal }) =>
      read("/api/v1/message-queues/{queue}/messages", {
        path: { queue },
        query: { count: SHOWN_MAX },
        signal,
      }),
  });
  return (
    <Listing
      query={query}
      expected={4}
      none={say("messages.empty", { queue })}
      title={say("messages.of", { queue })}
      columns={MESSAGES}
      rows={query.data?.messages ?? []}
      keyOf={(each) => each.sequence}
    />
  );
}

const QUEUES: readonly Column<QueueDetails>[] = [
  {
    head: say("messages.queue"),
    as: "id",
    cell: ({ queue }) => (
      <Link to="/messages" search={{ queue }}>
        {queue}
      </Link>
    ),
  },
  { head: say("messages.kind"), cell: (each) => each.kind },
  { head: say("messages.ready"), as: "numbers", cell: (each) => each.ready },
  { head: say("messages.inFlight"), as: "numbers", cell: (each) => each.inFlight },
  { head: say("messages.consumers"), as: "numbers", cell: (each) => each.consumers },
  { head: say("messages.oldest"), as: "muted", cell: (each) => <Time at={each.oldestAt} /> },
  {
    head: say("messages.deadLetters"),
    as: "numbers",
    cell: ({ deadLetterQueue, deadLetters }) =>
      deadLetterQueue ? (
        <Link to="/messages" search={{ queue: deadLetterQueue }}>
          {deadLetters}
        </Link>
      ) : (
        "–"
      ),
  },
];

const MESSAGES: readonly Column<MessageValue>[] = [
  { head: say("messages.sequence"), as: "numbers", cell: (each) => each.sequence },
  { head: say("messages.id"), as: "id", cell: (each) => each.id },
  { head: say("messages.key"), as: "id", cell: (each) => each.routingKey || "–" },
  { head: say("messages.at"), as: "muted", cell: (each) => <Time at={each.publishedAt} /> },
  {
    head: say("messages.body"),
    cell: (each) => <ValueTree value={each.body ?? each.bodyBase64} root="body" />,
  },
];

const EXCHANGES: readonly Column<ExchangeValue>[] = [
  { head: say("messages.exchange"), as: "id", cell: (each) => each.exchange },
  { head: say("messages.type"), cell: (each) => each.type },
  { head: say("messages.alternate"), as: "id", cell: (each) => each.alternate ?? "–" },
];
