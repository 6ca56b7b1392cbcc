/** The texts of the pages of projects and secrets. */

import { teach } from "../src/model/messages";

export const projects = {
  "projects.title": "Projects",
  "projects.count": "{count, plural, one {# project} other {# projects}}",
  "projects.none": "You see no project",
  "projects.noneHint": "An owner of the company creates one, or gives you a role on one.",
  "projects.project": "Project",
  "projects.namespace": "Namespace",
  "projects.startsPerSecond": "Starts per second",
  "projects.runningExecutions": "Running executions",
  "projects.executionsPerDay": "Executions today",
  "projects.definitions": "Definitions",
  "projects.fileBytes": "Files",
  "projects.apiKeys": "API keys",
  "projects.of": "{used} of {bound}",
  "projects.share": "{name} of {project}",
  "projects.quotas": "Set quotas",
  "projects.quotasOf": "Quotas of {project}",
  "projects.quotasHint":
    "Upper bounds. An empty field is unlimited; a bound above that of the level above is cut to it.",
  "projects.notNumber": "A whole number, or nothing for no bound.",
  "projects.open": "Work here",
  "projects.current": "You work here",
  "projects.secrets": "Secrets",
  "secrets.title": "Secrets",
  "secrets.of": "Secrets of {project}",
  "secrets.none": "No secrets",
  "secrets.noneHint":
    "A task names one as secret://name. Values are stored sealed, and no page shows them.",
  "secrets.secret": "Secret",
  "secrets.version": "Version",
  "secrets.by": "Stored by",
  "secrets.changed": "Stored",
  "secrets.usedBy": "Used by",
  "secrets.unused": "nothing",
  "secrets.capped": "Uses are looked for in the first {count} definitions.",
  "secrets.store": "Store a secret",
  "secrets.storeGo": "Store",
  "secrets.name": "Name",
  "secrets.nameHint": "Small letters, digits, dots and hyphens.",
  "secrets.value": "Value",
  "secrets.valueHint": "Text of at most 64 KiB. It is shown nowhere after this.",
  "secrets.rotate": "Rotate",
  "secrets.rotateTitle": "A new version of {name}",
  "secrets.rotateHint":
    "Tasks that name no version use it from their next start on. The former one is kept.",
  "secrets.delete": "Delete",
  "secrets.deleteTitle": "Delete {name}?",
  "secrets.deleteHint": "All its versions are deleted. Tasks that use it fail.",
} as const;

teach(projects);
