import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { read, write } from "@/api/client";
import type { SessionValue } from "@/api/schema";
import { ActionDialog } from "@/design/actionDialog";
import { Button, Time } from "@/design/primitives";
import { Loading, Problem } from "@/design/problem";
import { type Column, Table } from "@/design/table";
import { say } from "@/model/messages";

/** The sessions of the reader, which it may end: one, or all of them. */
export function Sessions({ ended }: { ended: () => void }) {
  const [asking, setAsking] = useState(false);
  const [error, setError] = useState<unknown>();
  const client = useQueryClient();
  const found = useQuery({
    queryKey: ["access", "sessions"],
    queryFn: ({ signal }) => read("/api/v1/auth/sessions", { signal }),
    // Another device may have signed in since.
    staleTime: 0,
  });
  const end = async (sessionId: string) => {
    setError(undefined);
    try {
      await write("DELETE /api/v1/auth/sessions/{sessionId}", { path: { sessionId } });
      await client.invalidateQueries({ queryKey: ["access", "sessions"] });
    } catch (raised) {
      setError(raised);
    }
  };
  const columns: readonly Column<SessionValue>[] = [
    { head: say("sessions.begun"), as: "muted", cell: (each) => <Time at={each.createdAt} /> },
    { head: say("sessions.used"), as: "muted", cell: (each) => <Time at={each.lastUsedAt} /> },
    { head: say("sessions.address"), as: "text", cell: (each) => each.address || "–" },
    {
      head: say("sessions.by"),
      as: "text",
      cell: (each) => each.provider ?? say("sessions.password"),
    },
    {
      head: "",
      cell: ({ id, address, current }) =>
        current ? (
          <span className="muted">{say("sessions.current")}</span>
        ) : (
          <Button
            small
            kind="danger"
            aria-label={say("sessions.endNamed", { address })}
            onClick={() => void end(id)}
          >
            {say("sessions.end")}
          </Button>
        ),
    },
  ];
  return (
    <>
      <Loading query={found} rows={3} />
      {error !== undefined && <Problem error={error} title={say("action.notDone")} />}
      {found.data && (
        <Table
          title={say("sessions.title")}
          beside={
            <Button small kind="danger" onClick={() => setAsking(true)}>
              {say("sessions.endAll")}
            </Button>
          }
          columns={columns}
          rows={found.data.sessions}
          keyOf={({ id }) => id}
        />
      )}
      {asking && (
        <ActionDialog
          title={say("sessions.endAllTitle")}
          label={say("sessions.endAll")}
          danger
          failed={say("action.notDone")}
          close={() => setAsking(false)}
          act={async (key) => {
            await write("POST /api/v1/auth/logout", { body: { allSessions: true }, key });
            ended();
          }}
        >
          <p>{say("sessions.endAllHint")}</p>
        </ActionDialog>
      )}
    </>
  );
}
