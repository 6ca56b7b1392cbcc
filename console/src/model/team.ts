/** The labels of a workflow that name its team. */
const TEAM = ["team", "owner"];

export type LabelsOf = Readonly<Record<string, string>>;

/** The team of a workflow by its labels. */
export function teamOf(labels: LabelsOf | undefined): string | undefined {
  return TEAM.map((each) => labels?.[each]).find(Boolean);
}

/** The labels that do not name the team. */
export function otherLabels(labels: LabelsOf): [name: string, value: string][] {
  return Object.entries(labels).filter(([name]) => !TEAM.includes(name));
}
