/** Panels of plugins: frames without an origin, which reach this page by messages only. */

import { useQuery } from "@tanstack/react-query";
import { useLayoutEffect, useRef, useState } from "react";
import { read } from "@/api/client";
import type { PanelValue, PluginValue } from "@/api/schema";
import { Skeleton } from "@/design/primitives";
import { Problem } from "@/design/problem";
import { say } from "@/model/messages";
import styles from "./pluginPanels.module.css";
import { listener, type Shown } from "./protocol";

const FRESH_MS = 60_000;
const HEIGHT = 320;

type Panel = PluginValue & { panel: PanelValue };

/** The installed panels of a place; none while the plugins cannot be read. */
export function usePanels(place: Shown["place"]): readonly Panel[] {
  const { data } = useQuery({
    queryKey: ["plugins", "panels"],
    queryFn: ({ signal }) => read("/api/v1/plugins", { signal }),
    staleTime: FRESH_MS,
    retry: false,
  });
  return (data?.plugins ?? []).filter(
    (each): each is Panel => each.panel?.places.includes(place) ?? false,
  );
}

export function PluginPanels({ panels, shown }: { panels: readonly Panel[]; shown: Shown }) {
  return panels.map((each) => (
    <section key={each.name} className={styles.panel} aria-label={each.panel.title}>
      <h2>
        {each.panel.title}{" "}
        <small className="muted">
          {say("execution.panelOf", { name: each.name, version: each.version })}
        </small>
      </h2>
      <Page plugin={each} shown={shown} />
    </section>
  ));
}

function Page({ plugin, shown }: { plugin: Panel; shown: Shown }) {
  const { name, digest } = plugin;
  const page = useQuery({
    queryKey: ["plugins", "page", name, digest],
    queryFn: ({ signal }) => read("/api/v1/plugins/{name}/page", { path: { name }, signal }),
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (page.isError) return <Problem error={page.error} />;
  if (!page.data) return <Skeleton rows={4} />;
  const { executionId = "", workflow = "" } = shown;
  const key = [digest, shown.place, executionId, workflow].join(" ");
  return <Frame key={key} plugin={plugin} page={page.data.html} shown={shown} />;
}

function Frame({ plugin, page, shown }: { plugin: Panel; page: string; shown: Shown }) {
  const frame = useRef<HTMLIFrameElement>(null);
  const [height, resize] = useState(HEIGHT);
  const { reads, title } = plugin.panel;
  const given = useRef({ page, shown, reads });
  useLayoutEffect(() => {
    const content = frame.current?.contentWindow;
    // The frame has no origin that could be named; only its window is answered.
    const post = (message: object) => content?.postMessage(message, "*");
    const take = listener({ ...given.current, post, resize });
    const receive = ({ source, data }: MessageEvent) => {
      if (source === content) take(data);
    };
    addEventListener("message", receive);
    return () => removeEventListener("message", receive);
  }, []);
  return (
    <iframe
      ref={frame}
      title={title}
      className={styles.frame}
      style={{ height }}
      sandbox="allow-scripts"
      referrerPolicy="no-referrer"
      src="/console/panel-frame"
    />
  );
}
