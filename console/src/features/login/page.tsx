import "../../../messages/pages";
import { useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { type FormEvent, useEffect, useState } from "react";
import { write } from "@/api/client";
import { BrandMark } from "@/design/brand";
import { Button, Field } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { say } from "@/model/messages";
import styles from "./page.module.css";

/** Sign in with e-mail and password; the session is kept in cookies that scripts cannot read. */
export function LoginPage() {
  const { next } = getRouteApi("/login").useSearch();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const navigate = useNavigate();
  const client = useQueryClient();
  useEffect(() => {
    document.title = say("login.titlePage");
  }, []);
  const signIn = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await write("POST /api/v1/auth/login", { body: { email, password, cookie: true } });
      client.clear();
      void navigate({ href: ownPath(next), replace: true });
    } catch (raised) {
      setError(raised);
      setBusy(false);
    }
  };
  return (
    <main className={styles.page}>
      <form onSubmit={signIn} className={styles.form}>
        <BrandMark size={36} />
        <h1>{say("login.title")}</h1>
        <Field label={say("login.email")}>
          {({ id }) => (
            <input
              id={id}
              type="email"
              autoComplete="username"
              required
              value={email}
              onChange={(event) => setEmail(event.target.value)}
            />
          )}
        </Field>
        <Field label={say("login.password")}>
          {({ id }) => (
            <input
              id={id}
              type="password"
              autoComplete="current-password"
              required
              value={password}
              onChange={(event) => setPassword(event.target.value)}
            />
          )}
        </Field>
        {error !== undefined && <Problem error={error} title={say("login.refused")} />}
        <Button kind="primary" type="submit" disabled={busy || !email || !password}>
          {busy ? say("login.busy") : say("login.go")}
        </Button>
      </form>
    </main>
  );
}

/** Where to go after the sign-in: a path of this server, never an address of another. */
function ownPath(next: string | undefined): string {
  return next?.startsWith("/") && !next.startsWith("//") && !next.startsWith("/\\") ? next : "/";
}
