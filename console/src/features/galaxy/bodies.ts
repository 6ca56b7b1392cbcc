/** The meshes of the galaxy: one for each kind of body, one for all lines. */

import {
  BufferAttribute,
  BufferGeometry,
  Color,
  DynamicDrawUsage,
  InstancedMesh,
  LineBasicMaterial,
  LineSegments,
  MeshBasicMaterial,
  Object3D,
  OctahedronGeometry,
  Points,
  PointsMaterial,
  SphereGeometry,
} from "three";
import type { Colours } from "@/canvas/palette";
import type { Body, BodyKind, Galaxy } from "@/model/galaxy";

const LABELS = 24;

/** Suns, stars and services with names, the largest first. */
export function labelledOf({ bodies }: Galaxy): number[] {
  return bodies
    .map((body, place) => ({ body, place }))
    .filter(({ body }) => body.kind !== "planet")
    .sort((left, right) => right.body.size - left.body.size)
    .slice(0, LABELS)
    .map(({ place }) => place);
}

function colourOf(body: Body, { family, muted, accent }: Colours): string {
  if (body.kind === "star") return accent;
  if (body.kind === "service") return family.undoing;
  if (body.kind === "planet") return muted;
  if (body.success === undefined) return family.neutral;
  if (body.success >= 0.99) return family.success;
  return body.success >= 0.9 ? family.attention : family.failed;
}

export function bodiesOf(
  bodies: readonly Body[],
  kind: BodyKind,
  colours: Colours,
): InstancedMesh | undefined {
  const chosen = bodies.filter((body) => body.kind === kind);
  if (chosen.length === 0) return undefined;
  const geometry =
    kind === "service"
      ? new OctahedronGeometry(1)
      : new SphereGeometry(1, kind === "planet" ? 8 : 24, kind === "planet" ? 6 : 16);
  const mesh = new InstancedMesh(geometry, new MeshBasicMaterial(), chosen.length);
  const holder = new Object3D();
  chosen.forEach((body, index) => {
    holder.position.set(body.x, body.y, body.z);
    holder.scale.setScalar(body.size);
    holder.updateMatrix();
    mesh.setMatrixAt(index, holder.matrix);
    mesh.setColorAt(index, new Color(colourOf(body, colours)));
  });
  mesh.computeBoundingSphere();
  return mesh;
}

export function linesOf({ bodies, edges }: Galaxy, colours: Colours): LineSegments {
  const places = new Float32Array(edges.length * 6);
  edges.forEach(([from, to], index) => {
    const [start, end] = [bodies[from] as Body, bodies[to] as Body];
    places.set([start.x, start.y, start.z, end.x, end.y, end.z], index * 6);
  });
  const geometry = new BufferGeometry().setAttribute("position", new BufferAttribute(places, 3));
  const material = new LineBasicMaterial({
    color: colours.lineStrong,
    transparent: true,
    opacity: 0.45,
  });
  return new LineSegments(geometry, material);
}

const FLARES_MAX = 500;

export function flaresOf(colours: Colours): Points {
  const places = new BufferAttribute(new Float32Array(FLARES_MAX * 3), 3);
  places.setUsage(DynamicDrawUsage);
  const geometry = new BufferGeometry().setAttribute("position", places);
  geometry.setDrawRange(0, 0);
  const material = new PointsMaterial({
    color: colours.family.failed,
    size: 18,
    sizeAttenuation: false,
    transparent: true,
    opacity: 0.55,
    depthWrite: false,
  });
  const points = new Points(geometry, material);
  points.frustumCulled = false;
  return points;
}
