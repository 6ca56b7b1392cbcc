import { useQuery } from "@tanstack/react-query";
import { Pause, Play } from "lucide-react";
import { type RefObject, useEffect, useRef, useState } from "react";
import { read } from "@/api/client";
import type { ExecutionSummary } from "@/api/schema";
import { usePreference } from "@/app/preferences";
import frame from "@/design/page.module.css";
import { Button } from "@/design/primitives";
import { serverNow } from "@/design/useNow";
import { clockTime } from "@/model/durations";
import { type Galaxy, sunId } from "@/model/galaxy";
import { say } from "@/model/messages";
import styles from "./page.module.css";
import type { GalaxyScene } from "./scene";

const HOUR_MS = 3_600_000;
const SPEEDS = [1, 10, 100] as const;
const EXECUTIONS_MAX = 1_000;

interface Props {
  galaxy: Galaxy;
  scene: RefObject<GalaxyScene | undefined>;
}

interface Moment {
  at: number;
  workflow: string;
  end: boolean;
  failed: boolean;
}

/** The last hour again: starts and ends of executions at 1×, 10× or 100×. */
export function Playback({ galaxy, scene }: Props) {
  const [playing, setPlaying] = useState(false);
  const [speed, setSpeed] = useState<number>(100);
  const [end] = useState(serverNow);
  const [offset, setOffset] = useState(0);
  const zone = usePreference("zone");
  const { data } = useQuery({
    queryKey: ["galaxy", "hour"],
    enabled: playing,
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: async ({ signal }) => {
      const found = await read("/api/v1/executions", {
        query: { filter: 'started > "-1h"', pageSize: EXECUTIONS_MAX },
        signal,
      });
      return momentsOf(found.executions);
    },
  });
  const cursor = useRef(0);
  useEffect(() => {
    if (!playing || !data) return;
    let frame = 0;
    let last = performance.now();
    const step = (now: number) => {
      const before = end - HOUR_MS + cursor.current;
      cursor.current = Math.min(HOUR_MS, cursor.current + (now - last) * speed);
      last = now;
      play(data, before, end - HOUR_MS + cursor.current, galaxy, scene.current);
      setOffset(cursor.current);
      if (cursor.current >= HOUR_MS) setPlaying(false);
      else frame = requestAnimationFrame(step);
    };
    frame = requestAnimationFrame(step);
    return () => cancelAnimationFrame(frame);
  }, [playing, data, speed, end, galaxy, scene]);
  const toggle = () => {
    if (!playing && cursor.current >= HOUR_MS) cursor.current = 0;
    setPlaying(!playing);
  };
  const at = clockTime(end - HOUR_MS + offset, zone);
  return (
    <div className={styles.playback} role="group" aria-label={say("galaxy.hour")}>
      <Button
        icon={playing ? <Pause size={13} aria-hidden /> : <Play size={13} aria-hidden />}
        onClick={toggle}
      >
        {playing ? say("galaxy.stop") : say("galaxy.play")}
      </Button>
      <select
        className={frame.select}
        aria-label={say("galaxy.speed")}
        value={speed}
        onChange={(event) => setSpeed(Number(event.target.value))}
      >
        {SPEEDS.map((each) => (
          <option key={each} value={each}>
            {each}×
          </option>
        ))}
      </select>
      <input
        type="range"
        aria-label={say("galaxy.time")}
        aria-valuetext={at}
        min={0}
        max={HOUR_MS}
        step={1_000}
        value={offset}
        onChange={(event) => {
          cursor.current = Number(event.target.value);
          setOffset(cursor.current);
        }}
      />
      <time className="numbers muted">{at}</time>
      {data && (
        <span className="muted numbers">{say("galaxy.moments", { count: data.length })}</span>
      )}
    </div>
  );
}

function momentsOf(executions: readonly ExecutionSummary[]): Moment[] {
  const moments: Moment[] = [];
  for (const { workflow, startedAt, endedAt, status } of executions) {
    const shared = { workflow, failed: status === "failed" };
    if (startedAt) moments.push({ ...shared, at: Date.parse(startedAt), end: false });
    if (endedAt) moments.push({ ...shared, at: Date.parse(endedAt), end: true });
  }
  return moments.sort((left, right) => left.at - right.at);
}

function play(
  moments: readonly Moment[],
  from: number,
  to: number,
  galaxy: Galaxy,
  scene: GalaxyScene | undefined,
): void {
  if (!scene) return;
  for (const moment of moments) {
    if (moment.at <= from || moment.at > to) continue;
    const sun = galaxy.index.get(sunId(moment.workflow));
    if (sun === undefined) continue;
    if (moment.end && moment.failed) scene.flare(sun);
    for (const [start, end] of galaxy.edges) {
      if (start !== sun) continue;
      if (moment.end) scene.comet(end, start, moment.failed);
      else scene.comet(start, end, false);
    }
  }
}
