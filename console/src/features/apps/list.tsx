import "../../../messages/apps";
/** The hosted applications: release, state, last deployment, addresses, health. */

import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { read } from "@/api/client";
import type { AppValue } from "@/api/schema";
import { PageHeader } from "@/app/pageHeader";
import { Button, Empty, Time } from "@/design/primitives";
import { Loading } from "@/design/problem";
import { say } from "@/model/messages";
import styles from "./page.module.css";
import { StateMark } from "./states";

const route = getRouteApi("/apps");

export function AppsPage() {
  const { q = "" } = route.useSearch();
  const navigate = useNavigate();
  const found = useQuery({
    queryKey: ["apps"],
    queryFn: ({ signal }) => read("/api/v1/apps", { signal }),
  });
  const all = found.data?.apps ?? [];
  const words = q.toLowerCase();
  const apps = all.filter((each) => textOf(each).includes(words));
  return (
    <>
      <PageHeader
        title={say("apps.title")}
        actions={
          <Button kind="primary" onClick={() => void navigate({ to: "/apps/new" })}>
            {say("apps.new")}
          </Button>
        }
      />
      <div className={styles.page}>
        <input
          type="search"
          className={styles.find}
          placeholder={say("apps.find")}
          aria-label={say("apps.find")}
          value={q}
          onChange={(event) =>
            void navigate({
              to: "/apps",
              search: { q: event.target.value || undefined },
              replace: true,
            })
          }
        />
        <Loading query={found} rows={6} />
        {found.data && all.length === 0 && (
          <Empty title={say("apps.none")}>
            <p>{say("apps.noneHint")}</p>
            <code>{say("apps.deployCommand")}</code>
          </Empty>
        )}
        {all.length > 0 && apps.length === 0 && <Empty title={say("apps.nothing", { words: q })} />}
        <ul className={styles.apps} aria-label={say("apps.title")}>
          {apps.length > 0 && (
            <li className={styles.heads} aria-hidden>
              {HEADS.map((each) => (
                <span key={each}>{each}</span>
              ))}
            </li>
          )}
          {apps.map((each) => (
            <Row key={each.app} app={each} />
          ))}
        </ul>
      </div>
    </>
  );
}

const HEADS = [
  say("apps.name"),
  say("apps.stateHead"),
  say("apps.servers"),
  say("apps.number"),
  say("apps.changed"),
] as const;

function textOf({ app, state, addresses }: AppValue): string {
  return [app, state, ...Object.values(addresses)].join(" ").toLowerCase();
}

function Row({ app }: { app: AppValue }) {
  return (
    <li>
      <strong>
        <Link to="/apps/$app" params={{ app: app.app }}>
          <bdi>{app.app}</bdi>
        </Link>
      </strong>
      <StateMark state={app.state} />
      <Addresses addresses={app.addresses} />
      <span className="muted">
        {app.release ? say("apps.release", { release: app.release }) : say("apps.neverServed")}
      </span>
      <span className="muted">
        <Time at={app.changedAt} />
      </span>
      {app.problem && <p className={styles.problem}>{app.problem}</p>}
    </li>
  );
}

/** The servers of an application, as links. */
export function Addresses({ addresses }: Pick<AppValue, "addresses">) {
  return (
    <span className={styles.addresses}>
      {Object.entries(addresses).map(([server, at]) => (
        <a key={server} href={`http://${at}`} target="_blank" rel="noopener noreferrer">
          {at}
        </a>
      ))}
    </span>
  );
}
