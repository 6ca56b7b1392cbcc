import "../../../messages/access";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useCompanies, useOwnRoles, usePlaces } from "@/api/places";
import type { CompanyValue } from "@/api/schema";
import { PageHeader } from "@/app/pageHeader";
import { sessionQuery } from "@/app/session";
import frame from "@/design/page.module.css";
import { Empty } from "@/design/primitives";
import { Loading } from "@/design/problem";
import { TabPanel, Tabs } from "@/design/tabs";
import { manages, type Place } from "@/model/access";
import { say } from "@/model/messages";
import { Keys } from "./keys";
import styles from "./page.module.css";
import { Providers } from "./providers";
import { Users } from "./users";

const TABS = ["users", "keys", "providers"] as const;
type Tab = (typeof TABS)[number];

/** Users with their roles, API keys and identity providers of what the reader manages. */
export function AccessPage() {
  const session = useQuery(sessionQuery);
  const closed = session.data?.auth === "closed";
  const companies = useCompanies(closed);
  const { company: chosen } = getRouteApi("/access").useSearch();
  const company = companies.data?.find(({ id }) => id === chosen) ?? companies.data?.[0];
  return (
    <>
      <PageHeader
        title={say("access.title")}
        actions={
          <Link to="/settings" className="muted">
            {say("access.yours")}
          </Link>
        }
      />
      <Loading query={session} rows={3} />
      {session.data && !closed && (
        <Empty title={say("access.open")}>{say("access.openHint")}</Empty>
      )}
      {closed && <Loading query={companies} rows={6} />}
      {companies.data?.length === 0 && <Nothing />}
      {company && <Company company={company} companies={companies.data ?? []} />}
    </>
  );
}

function Nothing() {
  return <Empty title={say("access.none")}>{say("access.noneHint")}</Empty>;
}

interface CompanyProps {
  company: CompanyValue;
  companies: readonly CompanyValue[];
}

/** What the reader manages of a company, one part at a time. */
function Company({ company, companies }: CompanyProps) {
  const { tab: named, at } = getRouteApi("/access").useSearch();
  const navigate = useNavigate({ from: "/access" });
  const roles = useOwnRoles();
  const found = usePlaces(company);
  const places = found.data?.filter((each) => manages(roles, each)) ?? [];
  const offered = TABS.filter((each) => placesOf(each, places).length > 0);
  const tab = offered.find((each) => each === named) ?? offered[0];
  const fitting = tab ? placesOf(tab, places) : [];
  const place = fitting.find(({ id }) => id === at) ?? fitting[0];
  return (
    <>
      {tab && (
        <Tabs
          label={say("access.tabs")}
          tabs={offered.map((id) => ({ id, label: say(`access.${id}`) }))}
          chosen={tab}
          choose={(id) => void navigate({ search: { company: company.id, tab: id } })}
        />
      )}
      <TabPanel tab={tab ?? "users"} className={frame.page}>
        <div className={styles.chosen}>
          {companies.length > 1 && (
            <Choice
              value={company.id}
              options={companies.map(({ id, slug }) => [id, slug])}
              choose={(id) => void navigate({ search: { company: id, tab } })}
            />
          )}
          {place && fitting.length > 1 && (
            <Choice
              value={place.id}
              options={fitting.map(({ id, path }) => [id, path])}
              choose={(id) => void navigate({ search: (before) => ({ ...before, at: id }) })}
            />
          )}
        </div>
        <Loading query={found} rows={6} />
        {found.data && !place && <Nothing />}
        {place && tab === "users" && <Users key={place.id} place={place} places={places} />}
        {place && tab === "keys" && <Keys key={place.id} place={place} />}
        {place && tab === "providers" && (
          <Providers key={place.id} place={place} places={found.data ?? []} />
        )}
      </TabPanel>
    </>
  );
}

/** The places that a tab is about. */
function placesOf(tab: Tab, places: readonly Place[]): readonly Place[] {
  if (tab === "users") return places;
  const level = tab === "keys" ? "project" : "company";
  return places.filter((each) => each.level === level);
}

interface ChoiceProps {
  value: string;
  options: readonly (readonly [id: string, text: string])[];
  choose: (id: string) => void;
}

function Choice({ value, options, choose }: ChoiceProps) {
  return (
    <select
      className={frame.select}
      aria-label={say("access.place")}
      value={value}
      onChange={(event) => choose(event.target.value)}
    >
      {options.map(([id, text]) => (
        <option key={id} value={id}>
          {text}
        </option>
      ))}
    </select>
  );
}
