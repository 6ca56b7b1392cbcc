import "../../../messages/pages";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { type FormEvent, useEffect, useState } from "react";
import { read, write } from "@/api/client";
import { BrandMark } from "@/design/brand";
import { Button, TextField } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { say } from "@/model/messages";
import styles from "./page.module.css";

/** Sign in with e-mail and password; the session is kept in cookies that scripts cannot read. */
export function LoginPage() {
  const { next, company, error: reason } = getRouteApi("/login").useSearch();
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
        <TextField
          label={say("login.email")}
          type="email"
          autoComplete="username"
          required
          value={email}
          change={setEmail}
        />
        <TextField
          label={say("login.password")}
          type="password"
          autoComplete="current-password"
          required
          value={password}
          change={setPassword}
        />
        {error === undefined && reason !== undefined && (
          <p role="alert" className={styles.reason}>
            {refusals.has(reason) ? say(`login.${reason}` as "login.other") : say("login.other")}
          </p>
        )}
        {error !== undefined && <Problem error={error} title={say("login.refused")} />}
        <Button kind="primary" type="submit" disabled={busy || !email || !password}>
          {busy ? say("login.busy") : say("login.go")}
        </Button>
        <Providers company={company} next={ownPath(next)} />
      </form>
    </main>
  );
}

const refusals = new Set(["LOGIN_REFUSED", "USER_EXISTS", "PROVIDER_UNAVAILABLE"]);

/** The identity providers of a company; the browser leaves for the chosen one. */
function Providers({ company, next }: { company: string | undefined; next: string }) {
  const { data } = useQuery({
    queryKey: ["login-providers", company],
    queryFn: () =>
      read("/api/v1/auth/providers", { query: company === undefined ? {} : { company } }),
  });
  return data?.providers.map(({ id, name }) => (
    <a key={id} className={styles.provider} href={`/login/${id}?${new URLSearchParams({ next })}`}>
      {say("login.at", { name })}
    </a>
  ));
}

/** Where to go after the sign-in: a path of this server, never an address of another. */
function ownPath(next: string | undefined): string {
  return next?.startsWith("/") && !next.startsWith("//") && !next.startsWith("/\\") ? next : "/";
}
