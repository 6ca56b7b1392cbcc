import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { write } from "@/api/client";
import { PageHeader } from "@/app/pageHeader";
import { type Density, prefer, type Theme, usePreference } from "@/app/preferences";
import { sessionQuery } from "@/app/session";
import { Button, Field } from "@/design/primitives";
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
      <PageHeader title="Settings" />
      <div className={styles.page}>
        <section>
          <h2>Appearance</h2>
          <Field label="Theme">
            {({ id }) => (
              <select
                id={id}
                value={theme}
                onChange={(event) => prefer({ theme: event.target.value as Theme })}
              >
                <option value="system">As the system</option>
                <option value="light">Light</option>
                <option value="dark">Dark</option>
              </select>
            )}
          </Field>
          <Field label="Density" hint="Height of rows in lists; takes effect on the next page.">
            {({ id, describedBy }) => (
              <select
                id={id}
                aria-describedby={describedBy}
                value={density}
                onChange={(event) => prefer({ density: event.target.value as Density })}
              >
                <option value="normal">Normal</option>
                <option value="compact">Compact</option>
              </select>
            )}
          </Field>
          <Field label="Time zone">
            {({ id }) => (
              <select
                id={id}
                value={zone}
                onChange={(event) => prefer({ zone: event.target.value })}
              >
                <option value="">As the system</option>
                <option value="UTC">UTC</option>
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
            Single keys act, such as <kbd>J</kbd> for the next row
          </label>
        </section>
        <Namespace />
        <section>
          <h2>You</h2>
          <Field
            label="Name"
            hint="Recorded as the actor of what you do; not verified unless you are signed in."
          >
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
      <h2>Namespace</h2>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          apply();
        }}
      >
        <Field label="Shown namespace" hint="All pages show the executions of this namespace.">
          {({ id, describedBy }) => (
            <input
              id={id}
              aria-describedby={describedBy}
              list="namespaces"
              placeholder="default"
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
          Show this namespace
        </Button>
      </form>
    </section>
  );
}

function SignedIn() {
  const { data } = useQuery(sessionQuery);
  const navigate = useNavigate();
  const client = useQueryClient();
  if (!data?.me) return <p className="muted">This installation is open: it needs no sign-in.</p>;
  const signOut = async () => {
    await write("POST /api/v1/auth/logout");
    client.clear();
    void navigate({ to: "/login" });
  };
  return (
    <p className={styles.me}>
      <span>
        Signed in as <strong>{data.me.user?.email ?? data.me.name}</strong>
      </span>
      <Button onClick={() => void signOut()}>Sign out</Button>
    </p>
  );
}
