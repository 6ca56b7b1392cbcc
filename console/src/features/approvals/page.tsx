import "../../../messages/pages";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useEffect } from "react";
import { useFresh } from "@/api/fresh";
import type { PendingApproval } from "@/api/schema";
import { useKeys } from "@/app/keys";
import { PageHeader } from "@/app/pageHeader";
import { usePreference } from "@/app/preferences";
import frame from "@/design/page.module.css";
import { Button, Empty, Time } from "@/design/primitives";
import { Loading } from "@/design/problem";
import { StatusMark } from "@/design/status";
import { titleOf } from "@/model/approvals";
import { say } from "@/model/messages";
import { DecisionPanel } from "./decisionPanel";
import styles from "./page.module.css";
import { keyOf, useInbox } from "./queries";

const REFRESH_MS = 1_000;
const route = getRouteApi("/approvals");

/** The inbox of approvals: those that wait, and a form to decide the chosen one. */
export function ApprovalsPage() {
  const { assignee, chosen } = route.useSearch();
  const navigate = route.useNavigate();
  const actor = usePreference("actor");
  useFresh("approvals", REFRESH_MS);
  const inbox = useInbox(assignee);
  const rows = inbox.data?.pages.flatMap((page) => page.approvals) ?? [];
  const at = Math.max(
    0,
    rows.findIndex((row) => keyOf(row) === chosen),
  );
  const row = rows[at];
  // On a phone the chosen one is a view of its own.
  const opened = row !== undefined && keyOf(row) === chosen;
  const choose = (place: number) => {
    const next = rows[place];
    const search = { assignee, chosen: next && keyOf(next) };
    if (next) void navigate({ search, replace: opened });
  };
  useKeys("list", { j: () => choose(at + 1), k: () => choose(at - 1) });
  const whose = (name: string | undefined) => void navigate({ search: { assignee: name } });
  return (
    <>
      <PageHeader
        title={say("approvals.title")}
        beside={
          inbox.isSuccess && (
            <span className="muted numbers">
              {say(inbox.hasNextPage ? "approvals.countMore" : "approvals.count", {
                count: rows.length,
              })}
            </span>
          )
        }
        actions={
          <>
            <AssigneeFilter assignee={assignee} change={whose} />
            {actor && assignee !== actor && (
              <Button onClick={() => whose(actor)}>{say("approvals.mine")}</Button>
            )}
          </>
        }
      />
      <Loading query={inbox} rows={6} />
      {inbox.isSuccess && rows.length === 0 && <Nothing assignee={assignee} />}
      {row && (
        <div className={styles.inbox} data-opened={opened || undefined}>
          <nav aria-label={say("approvals.waiting")} className={styles.list}>
            <ul>
              {rows.map((each, place) => (
                <li key={keyOf(each)}>
                  <Row approval={each} chosen={place === at} choose={() => choose(place)} />
                </li>
              ))}
            </ul>
            {inbox.hasNextPage && (
              <Button
                disabled={inbox.isFetchingNextPage}
                onClick={() => void inbox.fetchNextPage()}
              >
                {say("action.more")}
              </Button>
            )}
          </nav>
          <Link to="/approvals" search={{ assignee }} className={styles.back}>
            {say("approvals.back")}
          </Link>
          <DecisionPanel key={keyOf(row)} approval={row} />
        </div>
      )}
    </>
  );
}

function Row(props: { approval: PendingApproval; chosen: boolean; choose: () => void }) {
  const { approval, chosen, choose } = props;
  const { needed, decisions, dueAt, escalated } = approval.approval;
  return (
    <button
      type="button"
      className={styles.row}
      aria-current={chosen || undefined}
      onClick={choose}
    >
      <StatusMark status="asking" />
      <span className={styles.words}>
        <bdi className="truncate">{titleOf(approval)}</bdi>
        <small className="muted truncate">
          <bdi>{approval.workflow}</bdi> · {say("approvals.askedAt")} <Time at={approval.askedAt} />
          {needed > 1 && say("approvals.progress", { decided: decisions.length, needed })}
          {escalated && say("approvals.escalated")}
        </small>
      </span>
      {dueAt && (
        <small className={styles.due}>
          {say("approvals.dueAt")} <Time at={dueAt} />
        </small>
      )}
    </button>
  );
}

function Nothing({ assignee }: { assignee: string | undefined }) {
  return assignee ? (
    <Empty title={say("approvals.noneFor", { name: assignee })}>
      <Link to="/approvals">{say("approvals.all")}</Link>
    </Empty>
  ) : (
    <Empty title={say("approvals.none")}>
      <p>{say("approvals.noneHint")}</p>
    </Empty>
  );
}

function AssigneeFilter(props: {
  assignee: string | undefined;
  change: (name: string | undefined) => void;
}) {
  const { assignee, change } = props;
  useEffect(() => {
    const field = document.getElementById("assignee") as HTMLInputElement | null;
    if (field) field.value = assignee ?? "";
  }, [assignee]);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        const name = new FormData(event.currentTarget).get("assignee");
        change(String(name ?? "").trim() || undefined);
      }}
    >
      <input
        id="assignee"
        name="assignee"
        type="search"
        className={frame.search}
        style={{ width: 180 }}
        aria-label={say("approvals.only")}
        placeholder={say("approvals.assignee")}
        defaultValue={assignee}
      />
    </form>
  );
}
