import "../../../messages/access";
import "../../../messages/pages";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { write } from "@/api/client";
import { PageHeader } from "@/app/pageHeader";
import { type Density, prefer, type Theme, usePreference } from "@/app/preferences";
import { sessionQuery } from "@/app/session";
import { SelectField } from "@/design/fields";
import frame from "@/design/page.module.css";
import { Button, TextField } from "@/design/primitives";
import { say } from "@/model/messages";
import styles from "./page.module.css";
import { Sessions } from "./sessions";

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
      <div className={`${frame.framed} ${styles.page}`}>
        <section>
          <h2>{say("settings.appearance")}</h2>
          <SelectField
            label={say("settings.theme")}
            value={theme}
            change={(chosen) => prefer({ theme: chosen as Theme })}
          >
            <option value="system">{say("settings.asSystem")}</option>
            <option value="light">{say("settings.light")}</option>
            <option value="dark">{say("settings.dark")}</option>
          </SelectField>
          <SelectField
            label={say("settings.density")}
            hint={say("settings.densityHint")}
            value={density}
            change={(chosen) => prefer({ density: chosen as Density })}
          >
            <option value="normal">{say("settings.normal")}</option>
            <option value="compact">{say("settings.compact")}</option>
          </SelectField>
          <SelectField
            label={say("settings.zone")}
            value={zone}
            change={(chosen) => prefer({ zone: chosen })}
          >
            <option value="">{say("settings.asSystem")}</option>
            <option value="UTC">{"UTC"}</option>
            {zones.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </SelectField>
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
          <TextField
            label={say("settings.name")}
            hint={say("settings.nameHint")}
            value={actor}
            maxLength={200}
            change={(text) => prefer({ actor: text })}
          />
          <SignedIn />
        </section>
        <OwnSessions />
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
        <TextField
          label={say("settings.shownNamespace")}
          hint={say("settings.namespaceHint")}
          list="namespaces"
          placeholder={"default"}
          pattern="[A-Za-z0-9][A-Za-z0-9._:\-]{0,127}"
          value={text}
          change={setText}
        />
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
    const ended = await write("POST /api/v1/auth/logout");
    client.clear();
    if (ended?.providerLogoutUrl) return location.assign(ended.providerLogoutUrl);
    void navigate({ to: "/login" });
  };
  return (
    <p className={styles.me}>
      <span>
        {say("settings.signedIn")} <strong>{data.me.user?.email ?? data.me.name}</strong>
      </span>
      <span className="boxed-links">
        <Link to="/access">{say("settings.access")}</Link>
      </span>
      <Button onClick={() => void signOut()}>{say("settings.signOut")}</Button>
    </p>
  );
}

function OwnSessions() {
  const { data } = useQuery(sessionQuery);
  const navigate = useNavigate();
  const client = useQueryClient();
  if (!data?.me?.user) return null;
  const ended = () => {
    client.clear();
    void navigate({ to: "/login" });
  };
  return <Sessions ended={ended} />;
}
