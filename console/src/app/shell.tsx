/** The frame of all pages: rail, palette, live connection. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useNavigate, useRouterState } from "@tanstack/react-router";
import { Search } from "lucide-react";
import { lazy, Suspense, useEffect, useState } from "react";
import { onSignedOut } from "@/api/client";
import { connect, onExpired } from "@/api/live";
import { BrandMark } from "@/design/brand";
import { Keys } from "@/design/primitives";
import { useKeys } from "./keys";
import { LiveDot } from "./liveDot";
import { DESTINATIONS } from "./navigation";
import { usePreference } from "./preferences";
import { sessionQuery } from "./session";
import styles from "./shell.module.css";

const Palette = lazy(() => import("./palette"));
const ShortcutHelp = lazy(() => import("./shortcutHelp"));

export function Shell() {
  const signingIn = useRouterState({
    select: (state) => state.location.pathname.endsWith("/login"),
  });
  useSignInWhenAsked();
  return signingIn ? <Outlet /> : <Frame />;
}

function Frame() {
  const [palette, setPalette] = useState(false);
  const [help, setHelp] = useState(false);
  const navigate = useNavigate();
  useLiveConnection();
  useKeys({
    "mod+k": () => setPalette(true),
    "?": () => setHelp(true),
    ...Object.fromEntries(
      DESTINATIONS.map((each) => [`g ${each.key}`, () => void navigate({ to: each.to })]),
    ),
  });
  return (
    <div className={styles.shell}>
      <a href="#main" className={styles.skip}>
        Skip to content
      </a>
      <Rail openPalette={() => setPalette(true)} />
      <main id="main" className={styles.main} tabIndex={-1}>
        <Outlet />
      </main>
      <Suspense>
        {palette && <Palette close={() => setPalette(false)} />}
        {help && <ShortcutHelp close={() => setHelp(false)} />}
      </Suspense>
    </div>
  );
}

function Rail({ openPalette }: { openPalette: () => void }) {
  const namespace = usePreference("namespace");
  const session = useQuery(sessionQuery);
  return (
    <nav className={styles.rail} aria-label="Main">
      <Link to="/settings" className={styles.brand} title="Namespace; change it in the settings">
        <BrandMark />
        <span>
          <strong>Flowmesh</strong>
          <small className="truncate">{namespace || "default"}</small>
        </span>
      </Link>
      <button type="button" className={styles.search} onClick={openPalette}>
        <Search size={14} aria-hidden />
        <span>Search or act</span>
        <Keys keys={/Mac/.test(navigator.userAgent) ? "⌘ K" : "Ctrl K"} />
      </button>
      <ul className={styles.links}>
        {DESTINATIONS.map(({ to, label, icon: Icon }) => (
          <li key={to}>
            <Link to={to} className={styles.link} activeOptions={{ exact: to === "/" }}>
              <Icon size={16} strokeWidth={1.75} aria-hidden />
              <span>{label}</span>
            </Link>
          </li>
        ))}
      </ul>
      <div className={styles.foot}>
        <LiveDot version={session.data?.version} />
        {session.data?.me && <span className="truncate muted">{session.data.me.name}</span>}
      </div>
    </nav>
  );
}

function useSignInWhenAsked(): void {
  const navigate = useNavigate();
  useEffect(
    () =>
      onSignedOut(() => {
        if (location.pathname.endsWith("/login")) return;
        void navigate({ to: "/login", search: { next: location.pathname + location.search } });
      }),
    [navigate],
  );
}

function useLiveConnection(): void {
  const namespace = usePreference("namespace");
  const client = useQueryClient();
  // biome-ignore lint/correctness/useExhaustiveDependencies: another namespace is another stream
  useEffect(() => {
    const disconnect = connect();
    const stop = onExpired(() => void client.invalidateQueries());
    return () => {
      stop();
      disconnect();
    };
  }, [namespace, client]);
}
