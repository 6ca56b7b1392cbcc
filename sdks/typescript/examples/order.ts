/** A saga: charges a card, waits for a signal, fails to ship, and refunds the card. */
import { Client, ExecutionFailed, TaskFailure, Worker } from "@flowmesh/client";

interface Payment {
  readonly amount: number;
}

const client = await Client.connect();
await client.workflows.apply(`
apiVersion: workflow.io/v1
kind: WorkflowTask
metadata: {name: ts-charge}
spec: {type: ts-charge}
---
apiVersion: workflow.io/v1
kind: WorkflowTask
metadata: {name: ts-refund}
spec: {type: ts-refund}
---
apiVersion: workflow.io/v1
kind: WorkflowTask
metadata: {name: ts-ship}
spec: {type: ts-ship}
---
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: ts-order}
spec:
  tasks:
    - id: charge
      taskRef: ts-charge
      input: {amount: "{{input.amount}}"}
      undo: {taskRef: ts-refund, input: {amount: "{{undo.output.charged}}"}}
    - {id: approval, wait: {event: approved}, dependsOn: [charge]}
    - {id: ship, taskRef: ts-ship, dependsOn: [approval]}
`);

const worker = new Worker({ client });
worker.task("ts-charge", ({ amount }: Payment) => {
  console.log(`charged ${amount}`);
  return { charged: amount };
});
worker.task("ts-refund", ({ amount }: Payment) => {
  console.log(`refunded ${amount}`);
});
worker.task("ts-ship", () => {
  throw new TaskFailure("OutOfStock", "no item left");
});
await worker.start();

const handle = await client.start("ts-order", { amount: 30 });
for await (const { node } of handle.events({ types: ["TaskCompleted"] })) {
  if (node === "charge") {
    console.log("waiting for the approval");
    break;
  }
}
await handle.signal("approved", { by: "Grace" });
try {
  await handle.result({ timeoutMs: 30_000 });
} catch (error) {
  if (!(error instanceof ExecutionFailed)) {
    throw error;
  }
  console.log(`${error.status}: ${error.failure?.class}`);
}
await worker.stop();
await client.close();
