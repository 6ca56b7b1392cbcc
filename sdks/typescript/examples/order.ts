/** An order: a saga that waits for a payment signal, ships, and refunds if shipping fails. */
import { Client, ExecutionFailed, TaskFailure, Worker } from "@flowmesh/client";

interface Order {
  readonly id: string;
  readonly address?: string;
}

const client = await Client.connect();
await client.workflows.apply(`
apiVersion: workflow.io/v1
kind: WorkflowTask
metadata: {name: ts-reserve}
spec: {type: ts-reserve}
---
apiVersion: workflow.io/v1
kind: WorkflowTask
metadata: {name: ts-release}
spec: {type: ts-release}
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
  compensation: {order: REVERSE}
  tasks:
    - id: reserve
      taskRef: ts-reserve
      input: {order: "{{input}}"}
      undo: {taskRef: ts-release, input: {id: "{{undo.output.id}}"}}
    - {id: paid, wait: {event: paid}, dependsOn: [reserve]}
    - id: ship
      taskRef: ts-ship
      dependsOn: [paid]
      input: {order: "{{input}}", amount: "{{tasks.paid.output.amount}}"}
  output: "{{tasks.ship.output}}"
`);

const worker = new Worker({ client });
worker.task("ts-reserve", async ({ order }: { order: Order }) => {
  console.log(`reserved ${order.id}`);
  return { id: order.id };
});
worker.task("ts-release", async ({ id }: { id: string }) => {
  console.log(`released ${id}`);
});
worker.task("ts-ship", async ({ order, amount }: { order: Order; amount: number }) => {
  if (!order.address) {
    throw new TaskFailure("AddressMissing", `${order.id} has no address`);
  }
  return `${order.id} for ${amount} to ${order.address}`;
});
await worker.start();

for (const order of [{ id: "order-1", address: "Berlin" }, { id: "order-2" }]) {
  const handle = await client.start<string>("ts-order", order);
  await handle.signal("paid", { amount: 12 });
  try {
    console.log(`shipped ${await handle.result({ timeoutMs: 30_000 })}`);
  } catch (error) {
    if (!(error instanceof ExecutionFailed)) {
      throw error;
    }
    console.log(`failed: ${error.failure?.class}, ${error.failure?.message}`);
  }
}
await worker.stop();
await client.close();
