/** Registers a workflow, serves its task, and runs it. */
import { Client, Worker } from "@flowmesh/client";

const client = await Client.connect();
await client.workflows.apply(`
apiVersion: workflow.io/v1
kind: WorkflowTask
metadata: {name: ts-hello-greet}
spec: {type: ts-hello-greet}
---
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: ts-hello}
spec:
  tasks: [{id: greet, taskRef: ts-hello-greet, input: {name: "{{input.name}}"}}]
`);
const worker = new Worker({ client });
worker.task("ts-hello-greet", async ({ name }: { name: string }) => `Hello ${name}`);
await worker.start();

console.log(await client.run<string>("ts-hello", { name: "Ada" }));

await worker.stop();
await client.close();
