/** The galaxy in WebGL: instanced bodies, lines, comets and flares; one draw per kind. */

import {
  type BufferAttribute,
  PerspectiveCamera,
  type Points,
  Scene,
  Vector3,
  WebGLRenderer,
} from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import type { Colours } from "@/canvas/palette";
import { apart, type Body, type Galaxy, type Label } from "@/model/galaxy";
import { bodiesOf, flaresOf, labelledOf, linesOf } from "./bodies";
import { Comets } from "./comets";

export interface SceneOptions {
  canvas: HTMLCanvasElement;
  galaxy: Galaxy;
  colours: Colours;
  /** Whether things move by themselves. */
  motion: boolean;
  /** Called after each picture with the places of the labelled bodies on the canvas. */
  onLabels: (labels: readonly Label[]) => void;
}

const PICK_PX = 14;
const FLIGHT_MS = 700;
const SLOW_FRAME_MS = 33;
const PIXEL_RATIO_MAX = 2;
const PIXEL_RATIO_LEAST = 0.5;

export class GalaxyScene {
  readonly #options: SceneOptions;
  readonly #renderer: WebGLRenderer;
  readonly #scene = new Scene();
  readonly #camera = new PerspectiveCamera(50, 1, 0.1, 4_000);
  readonly #controls: OrbitControls;
  readonly #comets: Comets;
  readonly #flares: Points;
  readonly #flaring = new Set<number>();
  readonly #labelled: number[];
  #frame = 0;
  #pixelRatio: number;
  #last = 0;
  #flight: { from: Vector3; to: Vector3; target: Vector3; start: Vector3; at: number } | undefined;

  constructor(options: SceneOptions) {
    this.#options = options;
    const { canvas, galaxy, colours } = options;
    this.#renderer = new WebGLRenderer({ canvas, antialias: true, alpha: true });
    this.#pixelRatio = Math.min(devicePixelRatio || 1, PIXEL_RATIO_MAX);
    for (const kind of ["sun", "planet", "star", "service"] as const) {
      const mesh = bodiesOf(galaxy.bodies, kind, colours);
      if (mesh) this.#scene.add(mesh);
    }
    this.#scene.add(linesOf(galaxy, colours));
    this.#comets = new Comets(galaxy, colours);
    this.#flares = flaresOf(colours);
    this.#scene.add(this.#comets.points, this.#flares);
    this.#labelled = labelledOf(galaxy);
    this.#controls = new OrbitControls(this.#camera, canvas);
    this.#controls.enableDamping = options.motion;
    this.#controls.autoRotate = options.motion;
    this.#controls.autoRotateSpeed = 0.25;
    this.#controls.maxDistance = galaxy.radius * 5;
    this.#controls.addEventListener("change", () => this.draw());
    this.overview();
  }

  /** Draw soon; while things move, each picture asks for the next. */
  draw(): void {
    if (this.#frame || document.hidden) return;
    this.#frame = requestAnimationFrame((now) => {
      this.#frame = 0;
      this.#paint(now);
    });
  }

  resize(width: number, height: number): void {
    this.#renderer.setPixelRatio(this.#pixelRatio);
    this.#renderer.setSize(width, height, false);
    this.#camera.aspect = width / Math.max(1, height);
    this.#camera.updateProjectionMatrix();
    this.draw();
  }

  overview(): void {
    const far = this.#options.galaxy.radius * 1.2 + 10;
    this.#camera.position.set(0, far * 0.62, far);
    this.#controls.target.set(0, 0, 0);
    this.#controls.update();
  }

  /** Fly to a body; at once without motion. */
  flyTo(place: number): void {
    const body = this.#options.galaxy.bodies[place];
    if (!body) return;
    const target = new Vector3(body.x, body.y, body.z);
    const to = target.clone().add(new Vector3(0, 9, 18));
    if (this.#options.motion) {
      const from = this.#camera.position.clone();
      const start = this.#controls.target.clone();
      this.#flight = { from, to, start, target, at: performance.now() };
    } else {
      this.#camera.position.copy(to);
      this.#controls.target.copy(target);
      this.#controls.update();
    }
    this.#controls.autoRotate = false;
    this.draw();
  }

  /** The body at a place of the canvas. */
  pick(x: number, y: number): number | undefined {
    let best: number | undefined;
    let least = Number.POSITIVE_INFINITY;
    const at = new Vector3();
    const { bodies } = this.#options.galaxy;
    for (let place = 0; place < bodies.length; place += 1) {
      const body = bodies[place] as Body;
      const point = this.#projected(at, body);
      if (!point) continue;
      const off = Math.hypot(point.x - x, point.y - y) / PICK_PX;
      // Near ones win over far ones, large ones over small ones.
      const cost = off + point.depth - body.size * 0.1;
      if (off < 1 && cost < least) [best, least] = [place, cost];
    }
    return best;
  }

  /** Let a comet fly from one body to another. */
  comet(from: number, to: number, failed: boolean): void {
    this.#comets.start(from, to, failed, this.#options.motion);
    this.draw();
  }

  /** A failure stays red until it was seen. */
  flare(place: number): void {
    this.#flaring.add(place);
    this.#drawFlares();
  }

  seen(place: number): void {
    if (this.#flaring.delete(place)) this.#drawFlares();
  }

  dispose(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 1;
    this.#controls.dispose();
    this.#scene.traverse((object) => {
      const { geometry, material } = object as Partial<Points>;
      geometry?.dispose();
      if (material && !Array.isArray(material)) material.dispose();
    });
    this.#renderer.dispose();
  }

  #drawFlares(): void {
    const places = [...this.#flaring];
    const position = this.#flares.geometry.getAttribute("position") as BufferAttribute;
    places.slice(0, position.count).forEach((place, index) => {
      const body = this.#options.galaxy.bodies[place] as Body;
      position.setXYZ(index, body.x, body.y + body.size * 0.2, body.z);
    });
    position.needsUpdate = true;
    this.#flares.geometry.setDrawRange(0, Math.min(places.length, position.count));
    this.draw();
  }

  #paint(now: number): void {
    const began = performance.now();
    const flying = this.#fly(now);
    const moving = this.#comets.move(now);
    const changed = this.#controls.update();
    this.#renderer.render(this.#scene, this.#camera);
    this.#options.onLabels(apart(this.#labels()));
    const goesOn = flying || moving || changed || this.#controls.autoRotate;
    if (goesOn) this.#adapt(now, performance.now() - began);
    this.#last = goesOn ? now : 0;
    if (goesOn) this.draw();
  }

  /** Fewer pixels where frames are slow. */
  #adapt(now: number, script: number): void {
    const took = this.#last ? Math.max(now - this.#last, script) : 0;
    if (took < SLOW_FRAME_MS * 1.5 || this.#pixelRatio <= PIXEL_RATIO_LEAST) return;
    this.#pixelRatio = Math.max(PIXEL_RATIO_LEAST, this.#pixelRatio * 0.85);
    this.#renderer.setPixelRatio(this.#pixelRatio);
  }

  #fly(now: number): boolean {
    const flight = this.#flight;
    if (!flight) return false;
    const share = Math.min(1, (now - flight.at) / FLIGHT_MS);
    const eased = share * share * (3 - 2 * share);
    this.#camera.position.lerpVectors(flight.from, flight.to, eased);
    this.#controls.target.lerpVectors(flight.start, flight.target, eased);
    if (share >= 1) this.#flight = undefined;
    return true;
  }

  #labels(): Label[] {
    const at = new Vector3();
    const labels: Label[] = [];
    for (const place of this.#labelled) {
      const body = this.#options.galaxy.bodies[place] as Body;
      const point = this.#projected(at, body);
      if (point) labels.push({ body, x: point.x, y: point.y, near: point.depth < 0.985 });
    }
    return labels;
  }

  #projected(at: Vector3, body: Body): { x: number; y: number; depth: number } | undefined {
    at.set(body.x, body.y, body.z).project(this.#camera);
    if (at.z > 1 || Math.abs(at.x) > 1.1 || Math.abs(at.y) > 1.1) return undefined;
    const { clientWidth, clientHeight } = this.#options.canvas;
    return {
      x: ((at.x + 1) / 2) * clientWidth,
      y: ((1 - at.y) / 2) * clientHeight,
      depth: at.z,
    };
  }
}
