/**
 * A worker for tasks that use the CPU: threads compute, so that the event loop stays free for the
 * stream; progress goes out as heartbeats, and a canceled task ends its thread.
 */
import { once } from "node:events";
import { isMainThread, parentPort, Worker as Thread, workerData } from "node:worker_threads";
import { Client, type TaskContext, Worker } from "@flowmesh/client";

interface Range {
  readonly below: number;
}

if (isMainThread) {
  await serve();
} else {
  parentPort?.postMessage({ primes: countPrimes(workerData.below) });
}

function countPrimes(below: number): number {
  let primes = 0;
  for (let number = 2; number < below; number++) {
    let factor = 2;
    while (factor * factor <= number && number % factor !== 0) {
      factor++;
    }
    primes += factor * factor > number ? 1 : 0;
    if (number % 20_000 === 0) {
      parentPort?.postMessage({ done: number });
    }
  }
  return primes;
}

async function inThread(range: Range, context: TaskContext): Promise<number> {
  const thread = new Thread(new URL(import.meta.url), { workerData: range });
  const stop = () => void thread.terminate();
  context.signal.addEventListener("abort", stop);
  try {
    for (;;) {
      const [message] = await once(thread, "message", { signal: context.signal });
      if ("primes" in message) {
        return message.primes;
      }
      context.heartbeat(message);
    }
  } finally {
    await thread.terminate();
  }
}

async function serve(): Promise<void> {
  const client = await Client.connect();
  await client.workflows.apply(`
apiVersion: workflow.io/v1
kind: WorkflowTask
metadata: {name: ts-primes}
spec: {type: ts-primes}
---
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: ts-cpu}
spec:
  tasks:
    - {id: count, taskRef: ts-primes, input: "{{input}}"}
  output: "{{tasks.count.output}}"
`);
  const worker = new Worker({ client, slots: 2 });
  worker.task("ts-primes", inThread);
  await worker.start();
  console.log(`${await client.run<number>("ts-cpu", { below: 100_000 })} primes`);
  await worker.stop();
  await client.close();
}
