/** The frame of all pages: rail, palette, live connection. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useNavigate, useRouterState } from "@tanstack/react-router";
import { Ellipsis, PanelLeftClose, PanelLeftOpen, Search } from "lucide-react";
import { lazy, Suspense, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { onSignedOut } from "@/api/client";
import { connect, onExpired, useLive } from "@/api/live";
import { BrandMark } from "@/design/brand";
import { Button, IconButton, Keys } from "@/design/primitives";
import { say } from "@/model/messages";
import { useKeys } from "./keys";
import { LiveDot } from "./liveDot";
import { KEYED, RAIL } from "./navigation";
import { prefer, usePreference } from "./preferences";
import { sessionQuery } from "./session";
import styles from "./shell.module.css";

const Palette = lazy(() => import("./palette"));
const More = lazy(() => import("./more"));
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
  const [more, setMore] = useState(false);
  const navigate = useNavigate();
  const rail = useRail();
  useLiveConnection();
  useKeys(
    "everywhere",
    { "mod+k": () => setPalette(true), "?": () => setHelp(true) },
    Object.fromEntries(
      KEYED.map((each) => [`g ${each.key}`, () => void navigate({ to: each.to })]),
    ),
  );
  return (
    <div className={styles.shell} data-folded={rail.folded || undefined}>
      <a href="#main" className={styles.skip}>
        Skip to content
      </a>
      <Rail {...rail} openPalette={() => setPalette(true)} openMore={() => setMore(true)} />
      <main id="main" className={styles.main} tabIndex={-1}>
        <Outlet />
      </main>
      <Suspense>
        {palette && <Palette close={() => setPalette(false)} />}
        {more && <More close={() => setMore(false)} search={() => setPalette(true)} />}
        {help && <ShortcutHelp close={() => setHelp(false)} />}
      </Suspense>
    </div>
  );
}

interface RailProps extends RailState {
  openPalette: () => void;
  openMore: () => void;
}

function Rail({ narrow, folded, fold, openPalette, openMore }: RailProps) {
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
      <button
        type="button"
        className={styles.search}
        aria-label={folded ? say("shell.search") : undefined}
        onClick={openPalette}
      >
        <Search size={14} aria-hidden />
        <span>Search or act</span>
        <Keys keys={/Mac/.test(navigator.userAgent) ? "⌘ K" : "Ctrl K"} />
      </button>
      <ul className={styles.links}>
        {RAIL.flatMap(({ title, entries }) => [
          title && (
            <li key={title} className={styles.heading} aria-hidden>
              {title}
            </li>
          ),
          ...entries.map(({ to, label, icon: Icon, phone }) => (
            <li key={to} className={phone ? undefined : styles.wide}>
              <Link
                to={to}
                className={styles.link}
                activeOptions={{ exact: to === "/" }}
                title={folded ? label : undefined}
              >
                <Icon size={16} strokeWidth={1.75} aria-hidden />
                <span>{label}</span>
              </Link>
            </li>
          )),
        ])}
        <li className={styles.narrow}>
          <button type="button" className={styles.link} aria-haspopup="dialog" onClick={openMore}>
            <Ellipsis size={16} strokeWidth={1.75} aria-hidden />
            <span>{say("shell.more")}</span>
          </button>
        </li>
      </ul>
      <div className={styles.foot}>
        <Updated version={session.data?.version} />
        <LiveDot version={session.data?.version} />
        {!narrow && (
          <IconButton
            label={say(folded ? "shell.unfold" : "shell.fold")}
            aria-expanded={!folded}
            onClick={fold}
          >
            {folded ? <PanelLeftOpen size={15} /> : <PanelLeftClose size={15} />}
          </IconButton>
        )}
        {session.data?.me && <span className="truncate muted">{session.data.me.name}</span>}
      </div>
    </nav>
  );
}

const NARROW = matchMedia("(max-width: 1100px)");

interface RailState {
  /** The window is too narrow for words. */
  narrow: boolean;
  /** The rail has only icons. */
  folded: boolean;
  fold: () => void;
}

/** Rail with words or only with icons, by choice; editors begin with icons, for their canvas. */
function useRail(): RailState {
  const editing = useRouterState({
    select: ({ location }) => /\/(edit|new)$/.test(location.pathname),
  });
  const kept = editing ? "railInEditors" : "railOpen";
  const open = usePreference(kept);
  const narrow = useSyncExternalStore(
    (changed) => {
      NARROW.addEventListener("change", changed);
      return () => NARROW.removeEventListener("change", changed);
    },
    () => NARROW.matches,
  );
  return { narrow, folded: narrow || !open, fold: () => prefer({ [kept]: !open }) };
}

/** Offers a reload when the server came back with another version than the page was loaded from. */
function Updated({ version }: { version: string | undefined }) {
  const client = useQueryClient();
  const first = useRef(version);
  const reconnects = useLive((live) => live.reconnects);
  useEffect(() => {
    if (reconnects > 1) void client.invalidateQueries({ queryKey: sessionQuery.queryKey });
  }, [client, reconnects]);
  useEffect(() => {
    first.current ??= version;
  }, [version]);
  if (!version || !first.current || version === first.current) return null;
  return (
    <p className={styles.updated} role="status">
      {say("crash.updated", { version })}{" "}
      <Button small onClick={() => location.reload()}>
        {say("crash.reload")}
      </Button>
    </p>
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
