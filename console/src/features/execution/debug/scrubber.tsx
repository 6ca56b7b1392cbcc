import { ChevronFirst, ChevronLast, Pause, Play, SkipBack, SkipForward } from "lucide-react";
import { type KeyboardEvent, type PointerEvent, useCallback, useMemo, useRef } from "react";
import { useKeys } from "@/app/keys";
import { useColours } from "@/canvas/palette";
import { useCanvas } from "@/canvas/surface";
import { Button, IconButton } from "@/design/primitives";
import { duration } from "@/model/durations";
import { say } from "@/model/messages";
import { eventAtShare, SPEEDS, type Speed } from "@/model/playback";
import { lookOf } from "@/model/status";
import { useExecution } from "../data";
import { eventLabel } from "../eventText";
import { type Playback, usePlayback } from "./playback";
import styles from "./scrubber.module.css";
import { PAD, paintStrip } from "./strip";

/** The strip below the views: the moment that all of them show, moved by hand or played. */
export default function Scrubber() {
  const data = useExecution();
  const playback = usePlayback(data);
  useScrubKeys(playback);
  if (data.history.events.length === 0) return null;
  return (
    <section className={styles.scrubber} aria-label={say("scrub.title")} data-testid="scrubber">
      <div className={styles.row}>
        <Buttons playback={playback} />
        <Strip playback={playback} />
        <Tuning playback={playback} />
      </div>
      <Facts playback={playback} />
    </section>
  );
}

function Buttons({ playback }: { playback: Playback }) {
  const { history } = useExecution();
  const { index, seek, toggle, playing } = playback;
  return (
    <div className={styles.buttons}>
      <IconButton label={say("scrub.first")} onClick={() => seek(0)}>
        <ChevronFirst size={15} />
      </IconButton>
      <IconButton label={say("scrub.back")} onClick={() => seek(index - 1)}>
        <SkipBack size={13} />
      </IconButton>
      <IconButton label={playing ? say("scrub.stop") : say("scrub.play")} onClick={toggle}>
        {playing ? <Pause size={15} /> : <Play size={15} />}
      </IconButton>
      <IconButton label={say("scrub.step")} onClick={() => seek(index + 1)}>
        <SkipForward size={13} />
      </IconButton>
      <IconButton label={say("scrub.last")} onClick={() => seek(history.events.length)}>
        <ChevronLast size={15} />
      </IconButton>
    </div>
  );
}

function Tuning({ playback }: { playback: Playback }) {
  const { at, setAt } = useExecution();
  const { speed, setSpeed, folded, setFolded } = playback;
  return (
    <div className={styles.tuning}>
      <select
        aria-label={say("scrub.speed")}
        value={speed}
        onChange={(event) => setSpeed(Number(event.target.value) as Speed)}
      >
        {SPEEDS.map((each) => (
          <option key={each} value={each}>
            {say("scrub.times", { factor: String(each) })}
          </option>
        ))}
      </select>
      <Button
        small
        aria-pressed={folded}
        title={say("scrub.foldHint")}
        onClick={() => setFolded(!folded)}
      >
        {say("scrub.fold")}
      </Button>
      <Button
        small
        kind={at === undefined ? "plain" : "primary"}
        disabled={at === undefined}
        onClick={() => setAt(undefined)}
      >
        {say("scrub.live")}
      </Button>
    </div>
  );
}

function Strip({ playback }: { playback: Playback }) {
  const { history } = useExecution();
  const canvas = useRef<HTMLCanvasElement>(null);
  const colours = useColours();
  const { track, index, seek } = playback;
  const { events } = history;
  const draw = useCallback(
    (context: CanvasRenderingContext2D, width: number, height: number) =>
      paintStrip(context, { events, track, index, colours }, width, height),
    [events, track, index, colours],
  );
  useCanvas(canvas, draw);
  const drag = (event: PointerEvent<HTMLDivElement>) => {
    if (event.buttons === 0) return;
    const box = event.currentTarget.getBoundingClientRect();
    const share = (event.clientX - box.left - PAD) / Math.max(1, box.width - 2 * PAD);
    seek(eventAtShare(track, Math.min(1, Math.max(0, share))));
  };
  const event = events[index];
  return (
    <div
      className={styles.strip}
      role="slider"
      tabIndex={0}
      aria-label={say("scrub.moment")}
      aria-valuemin={events[0]?.sequence ?? 1}
      aria-valuemax={history.lastSequence}
      aria-valuenow={event?.sequence ?? 1}
      aria-valuetext={event ? `${event.sequence}: ${eventLabel(event)} ${event.taskId ?? ""}` : ""}
      onPointerDown={(pressed) => {
        pressed.currentTarget.setPointerCapture(pressed.pointerId);
        drag(pressed);
      }}
      onPointerMove={drag}
    >
      <canvas ref={canvas} aria-hidden />
    </div>
  );
}

/** The event of the moment, its number to type, and the statuses of all nodes counted. */
function Facts({ playback }: { playback: Playback }) {
  const { history, at, select } = useExecution();
  const { index, seek } = playback;
  const event = history.events[index];
  const first = history.events[0]?.sequence ?? 1;
  const go = (pressed: KeyboardEvent<HTMLInputElement>) => {
    const wanted = Number(pressed.currentTarget.value);
    if (pressed.key === "Enter" && Number.isInteger(wanted) && wanted >= first)
      seek(wanted - first);
  };
  if (!event) return null;
  return (
    <div className={styles.facts}>
      <label className="numbers">
        {say("scrub.event")}{" "}
        <input
          key={event.sequence}
          defaultValue={event.sequence}
          inputMode="numeric"
          aria-label={say("scrub.number")}
          onKeyDown={go}
        />{" "}
        {say("scrub.of", { last: history.lastSequence })}
      </label>
      <strong data-testid="moment" data-sequence={event.sequence}>
        {eventLabel(event)}
      </strong>
      {event.taskId && (
        <button type="button" className={styles.task} onClick={() => select(event.taskId)}>
          <bdi className="truncate">{event.taskId}</bdi>
        </button>
      )}
      <span className="numbers muted">
        +{duration((history.times[index] ?? 0) - (history.times[0] ?? 0))}
      </span>
      <Counts at={at} />
    </div>
  );
}

function Counts({ at }: { at: number | undefined }) {
  const { history, version } = useExecution();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the version stands for the events
  const counts = useMemo(() => [...history.counts(at)], [history, version, at]);
  return (
    <ul className={styles.counts} aria-label={say("scrub.counts")} data-testid="counts">
      {counts.map(([status, count]) => (
        <li key={status} data-status={status} data-count={count}>
          <i data-family={lookOf(status).family} aria-hidden />
          <span className="numbers">{count}</span> {lookOf(status).word.toLowerCase()}
        </li>
      ))}
    </ul>
  );
}

function useScrubKeys({ index, seek, toggle, folded, setFolded }: Playback): void {
  const { history } = useExecution();
  const { events } = history;
  const first = events[0]?.sequence ?? 1;
  const task = (step: 1 | -1) => {
    let to = index + step;
    while (to > 0 && to < events.length - 1 && !events[to]?.taskId) to += step;
    seek(to);
  };
  const problem = (step: 1 | -1) => {
    const places = history.problems().map((sequence) => sequence - first);
    const next =
      step > 0 ? places.find((each) => each > index) : places.findLast((each) => each < index);
    if (next !== undefined) seek(next);
  };
  useKeys("debugger", {
    " ": toggle,
    z: () => setFolded(!folded),
    ArrowLeft: (event) => (event.shiftKey ? task(-1) : seek(index - 1)),
    ArrowRight: (event) => (event.shiftKey ? task(1) : seek(index + 1)),
    Home: () => seek(0),
    End: () => seek(events.length),
    "[": () => problem(-1),
    "]": () => problem(1),
  });
}
