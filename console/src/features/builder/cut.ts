/** The draft cut behind a task, for a dry run up to it. */

import { set } from "@/text/edits";
import { removeTasks } from "@/text/operations";
import { before } from "@/text/scope";
import { parsed } from "@/text/source";
import { tasksOf, tasksPlace, workflowOf } from "@/text/workflow";

/** The text without the tasks that do not run before `id`, and with its output as the output. */
export function upTo(text: string, id: string): string {
  const workflow = workflowOf(parsed(text));
  if (workflow?.format !== "native") return text;
  const place = tasksPlace(workflow);
  const tasks = tasksOf(workflow, place);
  const kept = new Set([...before(tasks, id), id]);
  const gone = tasks.filter((each) => !kept.has(each.id)).map((each) => each.id);
  const output = /^[A-Za-z_]\w*$/.test(id) ? `tasks.${id}.output` : `tasks["${id}"].output`;
  const cut = gone.length > 0 ? removeTasks(text, place, gone) : text;
  return set(cut, { doc: workflow.doc, path: ["spec", "output"] }, `{{${output}}}`);
}
