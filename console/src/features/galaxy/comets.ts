import {
  BufferAttribute,
  BufferGeometry,
  Color,
  DynamicDrawUsage,
  Points,
  PointsMaterial,
} from "three";
import type { Colours } from "@/canvas/palette";
import type { Body, Galaxy } from "@/model/galaxy";

const COMETS_MAX = 500;
const TRAIL = 4;
const FLIGHT_MS = 1_100;
/** How long a comet without motion is shown as a mark at its end. */
const MARK_MS = 4_000;

interface Comet {
  from: Body;
  to: Body;
  failed: boolean;
  at: number;
  still: boolean;
}

/** Executions that move along edges: points with short trails. */
export class Comets {
  readonly points: Points;
  readonly #galaxy: Galaxy;
  readonly #good: Color;
  readonly #bad: Color;
  #flying: Comet[] = [];

  constructor(galaxy: Galaxy, colours: Colours) {
    this.#galaxy = galaxy;
    this.#good = new Color(colours.family.running);
    this.#bad = new Color(colours.family.failed);
    const geometry = new BufferGeometry();
    for (const name of ["position", "color"]) {
      const attribute = new BufferAttribute(new Float32Array(COMETS_MAX * TRAIL * 3), 3);
      geometry.setAttribute(name, attribute.setUsage(DynamicDrawUsage));
    }
    geometry.setDrawRange(0, 0);
    const material = new PointsMaterial({ size: 6, sizeAttenuation: false, vertexColors: true });
    this.points = new Points(geometry, material);
    this.points.frustumCulled = false;
  }

  start(from: number, to: number, failed: boolean, motion: boolean): void {
    const [start, end] = [this.#galaxy.bodies[from], this.#galaxy.bodies[to]];
    if (!start || !end) return;
    if (this.#flying.length >= COMETS_MAX) this.#flying.shift();
    this.#flying.push({ from: start, to: end, failed, at: performance.now(), still: !motion });
  }

  /** Move all; return whether any flies. */
  move(now: number): boolean {
    this.#flying = this.#flying.filter(
      (each) => now - each.at < (each.still ? MARK_MS : FLIGHT_MS),
    );
    const position = this.points.geometry.getAttribute("position") as BufferAttribute;
    const colour = this.points.geometry.getAttribute("color") as BufferAttribute;
    let drawn = 0;
    for (const comet of this.#flying) {
      const tint = comet.failed ? this.#bad : this.#good;
      const share = comet.still ? 1 : (now - comet.at) / FLIGHT_MS;
      for (let tail = 0; tail < TRAIL; tail += 1) {
        const at = Math.max(0, share - tail * 0.035);
        position.setXYZ(
          drawn,
          comet.from.x + (comet.to.x - comet.from.x) * at,
          comet.from.y + (comet.to.y - comet.from.y) * at,
          comet.from.z + (comet.to.z - comet.from.z) * at,
        );
        const fade = 1 - tail / TRAIL;
        colour.setXYZ(drawn, tint.r * fade, tint.g * fade, tint.b * fade);
        drawn += 1;
      }
    }
    position.needsUpdate = true;
    colour.needsUpdate = true;
    this.points.geometry.setDrawRange(0, drawn);
    return this.#flying.some((each) => !each.still);
  }
}
