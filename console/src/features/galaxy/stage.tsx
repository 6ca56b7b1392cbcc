import { type PointerEvent, type RefObject, useEffect, useRef, useState } from "react";
import { socketUrl } from "@/api/client";
import { BROWSER_PORTS, Feed, type FeedEvent } from "@/api/feed";
import { usePreference } from "@/app/preferences";
import { useColours } from "@/canvas/palette";
import { type Galaxy, type Label, planetId, sunId } from "@/model/galaxy";
import { say } from "@/model/messages";
import styles from "./page.module.css";
import { GalaxyScene } from "./scene";

const TYPES = ["WorkflowStarted", "TaskCompleted", "TaskFailed", "WorkflowFailed"];
const CLICK_PX = 4;

interface Props {
  galaxy: Galaxy;
  scene: RefObject<GalaxyScene | undefined>;
  choose: (place: number | undefined) => void;
  /** Called where the browser has no WebGL. */
  failed: () => void;
}

/** The canvas of the galaxy with the names of its largest bodies. */
export function Stage({ galaxy, scene, choose, failed }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const names = useRef<HTMLDivElement>(null);
  const colours = useColours();
  const pressed = useRef<{ x: number; y: number }>(undefined);
  const [hovered, setHovered] = useState<string>();
  // biome-ignore lint/correctness/useExhaustiveDependencies: a failure is reported once
  useEffect(() => {
    const element = canvas.current;
    const box = names.current;
    if (!element || !box) return;
    const motion = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    let made: GalaxyScene;
    try {
      const onLabels = (labels: readonly Label[]) => place(box, labels);
      made = new GalaxyScene({ canvas: element, galaxy, colours, motion, onLabels });
    } catch {
      failed();
      return;
    }
    scene.current = made;
    const resize = () => made.resize(element.clientWidth, element.clientHeight);
    const observer = new ResizeObserver(resize);
    observer.observe(element);
    const wake = () => made.draw();
    document.addEventListener("visibilitychange", wake);
    return () => {
      observer.disconnect();
      document.removeEventListener("visibilitychange", wake);
      scene.current = undefined;
      made.dispose();
    };
  }, [galaxy, colours]);
  useLiveComets(galaxy, scene);
  const at = (event: PointerEvent<HTMLCanvasElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    return scene.current?.pick(event.clientX - box.left, event.clientY - box.top);
  };
  return (
    <>
      <canvas
        ref={canvas}
        className={styles.canvas}
        role="img"
        aria-label={say("galaxy.name", { count: galaxy.bodies.length })}
        title={hovered}
        onPointerDown={(event) => {
          pressed.current = { x: event.clientX, y: event.clientY };
        }}
        onPointerMove={(event) => {
          const found = event.buttons ? undefined : at(event);
          setHovered(found === undefined ? undefined : galaxy.bodies[found]?.name);
        }}
        onPointerUp={(event) => {
          const from = pressed.current;
          if (!from) return;
          if (Math.hypot(event.clientX - from.x, event.clientY - from.y) < CLICK_PX) {
            const found = at(event);
            if (found !== undefined) choose(found);
          }
        }}
      />
      <div ref={names} className={styles.names} aria-hidden />
    </>
  );
}

/** Move the names to their bodies, without React: this happens in each frame. */
function place(box: HTMLDivElement, labels: readonly Label[]): void {
  while (box.childElementCount < labels.length) box.append(document.createElement("span"));
  [...box.children].forEach((child, index) => {
    const element = child as HTMLElement;
    const label = labels[index];
    element.hidden = !label;
    if (!label) return;
    if (element.textContent !== label.body.name) element.textContent = label.body.name;
    element.dataset.kind = label.body.kind;
    element.style.transform = `translate(${label.x.toFixed(1)}px, ${label.y.toFixed(1)}px)`;
    element.style.opacity = label.near ? "1" : "0.55";
  });
}

function useLiveComets(galaxy: Galaxy, scene: RefObject<GalaxyScene | undefined>): void {
  const namespace = usePreference("namespace");
  useEffect(() => {
    const feed = new Feed(
      {
        url: (after) =>
          socketUrl("/api/v1/events/ws", { namespace, after, type: TYPES, view: "outline" }),
        after: "",
        placeOf: (event) => event.cursor,
        onEvent: (event) => scene.current && show(scene.current, galaxy, event),
        onState: () => {},
      },
      BROWSER_PORTS,
    );
    feed.start();
    return () => feed.stop();
  }, [galaxy, scene, namespace]);
}

function show(scene: GalaxyScene, galaxy: Galaxy, event: FeedEvent): void {
  const sun = galaxy.index.get(sunId(event.workflow));
  if (sun === undefined) return;
  if (event.type === "WorkflowFailed") {
    scene.flare(sun);
    return;
  }
  const task = event.taskId ?? "";
  const planet = galaxy.index.get(planetId(event.workflow, task));
  if (event.type === "WorkflowStarted") {
    for (const [from, to] of galaxy.edges) if (from === sun) scene.comet(from, to, false);
  } else if (planet !== undefined) {
    const failed = event.type === "TaskFailed";
    const after = failed ? [] : (galaxy.after.get(planet) ?? []);
    for (const to of after.length > 0 ? after : [sun]) scene.comet(planet, to, failed);
  }
}
