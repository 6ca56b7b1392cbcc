/** Prints the events of an execution as they happen; with an id as argument, those of that one. */
import { Client } from "@flowmesh/client";

const client = await Client.connect();
let id = process.argv[2];
if (!id) {
  await client.workflows.register(`
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: ts-watch}
spec:
  tasks:
    - {id: first, taskRef: noop}
    - {id: second, taskRef: noop, dependsOn: [first]}
`);
  id = (await client.start("ts-watch")).id;
}
const types = ["WorkflowStarted", "TaskCompleted"];
// A broken connection is opened again after the last event, without gap or repeat.
for await (const event of client.handle(id).events({ types })) {
  console.log(`${event.type} ${event.node}`.trimEnd());
}
await client.close();
