/** Roles of a user on the levels of an installation: what it may manage, and which roles it gives. */

export type LevelName = "installation" | "company" | "organization" | "project";
export type RoleName = "viewer" | "editor" | "admin" | "owner";

export interface Granted {
  level: LevelName;
  levelId?: string;
  role: string;
}

/** A company, organization or project with the ids of the levels above it. */
export interface Place {
  level: Exclude<LevelName, "installation">;
  id: string;
  /** The slugs from the company on. */
  path: string;
  above: readonly string[];
  /** The namespace of a project. */
  namespace?: string;
}

export const ROLES: readonly RoleName[] = ["viewer", "editor", "admin", "owner"];
const MANAGING = ROLES.indexOf("admin");

/** The roles that hold on a place: given on it, on a level above it, or everywhere. */
function widest(roles: readonly Granted[], place: Place | undefined): number {
  const held = roles.filter(
    ({ level, levelId }) =>
      level === "installation" || levelId === place?.id || place?.above.includes(levelId ?? ""),
  );
  return Math.max(-1, ...held.map(({ role }) => ROLES.indexOf(role as RoleName)));
}

/** Whether a user with these roles manages users, keys and providers of a place. */
export function manages(roles: readonly Granted[], place: Place): boolean {
  return widest(roles, place) >= MANAGING;
}

/** The roles that such a user may give on a place. */
export function givable(roles: readonly Granted[], place: Place): readonly RoleName[] {
  return manages(roles, place) ? ROLES.slice(0, widest(roles, place) + 1) : [];
}

/** Whether a user with these roles owns the whole installation. */
export function ownsAll(roles: readonly Granted[]): boolean {
  return roles.some(({ level, role }) => level === "installation" && role === "owner");
}

/** The parts of a list that is written with commas or lines. */
export function listed(text: string, between: RegExp = /[,\n]/): string[] {
  return text
    .split(between)
    .map((each) => each.trim())
    .filter(Boolean);
}

const PEM = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/** The certificates of a text; a text without any is one, for the server to refuse. */
export function certificatesOf(text: string): string[] {
  return text.match(PEM) ?? listed(text, /\n{2,}/);
}
