import "../../../messages/pages";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { write } from "@/api/client";
import { PageHeader } from "@/app/pageHeader";
import { type Density, prefer, type Theme, usePreference } from "@/app/preferences";
import { sessionQuery } from "@/app/session";
import { Button, Field } from "@/design/primitives";
import { say } from "@/model/messages";
import styles from "./page.module.css";

/** Choices of the reader; they are kept in this browser. */
export function SettingsPage() {
  const theme = usePreference("theme");
  const density = usePreference("density");
  const zone = usePreference("zone");
  const actor = usePreference("actor");
  const singleKeys = usePreference("singleKeys");
  const zones = Intl.supportedValuesOf("timeZone");
  return (
    <>
      <PageHeader title={say("settings.title")} />
      <div className={styles.page}>
        <section>
          <h2>{say("settings.appearance")}</h2>
          <Field label={say("settings.theme")}>
            {({ id }) => (
              <select
                id={id}
                value={theme}
                onChange={(event) => prefer({ theme: event.target.value as Theme })}
              >
                <option value="system">{say("settings.asSystem")}</option>
                <option value="light">{say("settings.light")}</option>
                <option value="dark">{say("settings.dark")}</option>
              </select>
            )}
          </Field>
          <Field label={say("settings.density")} hint={say("settings.densityHint")}>
            {({ id, describedBy }) => (
              <select
                id={id}
                aria-describedby={describedBy}
                value={density}
                onChange={(event) => prefer({ density: event.target.value as Density })}
              >
                <option value="normal">{say("settings.normal")}</option>
                <option value="compact">{say("settings.compact")}</option>
              </select>
            )}
          </Field>
          <Field label={say("settings.zone")}>
            {({ id }) => (
              <select
                id={id}
                value={zone}
                onChange={(event) => prefer({ zone: event.target.value })}
              >
                <option value="">{say("settings.asSystem")}</option>
                <option value="UTC">{"UTC"}</option>
                {zones.map((name) => (
                  <option key={name} value={name}>
                    {name}
                  </option>
                ))}
              </select>
            )}
          </Field>
          <label className={styles.check}>
            <input
              type="checkbox"
              checked={singleKeys}
              onChange={() => prefer({ singleKeys: !singleKeys })}
            />
            {say("settings.singleKeys")}
          </label>
        </section>
        <Namespace />
        <section>
          <h2>{say("settings.you")}</h2>
          <Field label={say("settings.name")} hint={say("settings.nameHint")}>
            {({ id, describedBy }) => (
              <input
                id={id}
                aria-describedby={describedBy}
                value={actor}
                maxLength={200}
                onChange={(event) => prefer({ actor: event.target.value })}
              />
            )}
          </Field>
          <SignedIn />
        </section>
      </div>
    </>
  );
}

function Namespace() {
  const namespace = usePreference("namespace");
  const [text, setText] = useState(namespace);
  const { data } = useQuery(sessionQuery);
  const client = useQueryClient();
  const known = Object.keys(data?.me?.namespaces ?? {});
  const apply = () => {
    prefer({ namespace: text.trim() === "default" ? "" : text.trim() });
    void client.resetQueries();
  };
  return (
    <section>
      <h2>{say("settings.namespace")}</h2>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          apply();
        }}
      >
        <Field label={say("settings.shownNamespace")} hint={say("settings.namespaceHint")}>
          {({ id, describedBy }) => (
            <input
              id={id}
              aria-describedby={describedBy}
              list="namespaces"
              placeholder={"default"}
              pattern="[A-Za-z0-9][A-Za-z0-9._:\-]{0,127}"
              value={text}
              onChange={(event) => setText(event.target.value)}
            />
          )}
        </Field>
        <datalist id="namespaces">
          {known.map((name) => (
            <option key={name} value={name} />
          ))}
        </datalist>
        <Button type="submit" disabled={text.trim() === namespace}>
          {say("settings.show")}
        </Button>
      </form>
    </section>
  );
}

function SignedIn() {
  const { data } = useQuery(sessionQuery);
  const navigate = useNavigate();
  const client = useQueryClient();
  if (!data?.me) return <p className="muted">{say("settings.open")}</p>;
  const signOut = async () => {
    await write("POST /api/v1/auth/logout");
    client.clear();
    void navigate({ to: "/login" });
  };
  return (
    <p className={styles.me}>
      <span>
        {say("settings.signedIn")} <strong>{data.me.user?.email ?? data.me.name}</strong>
      </span>
      <Button onClick={() => void signOut()}>{say("settings.signOut")}</Button>
    </p>
  );
}
