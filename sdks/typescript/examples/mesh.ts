/** A service in the mesh: it registers itself, and a caller finds its instances by name. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Client } from "@flowmesh/client";

const client = await Client.connect();
const name = "ts-quotes";

async function served(instance: string): Promise<Server> {
  const server = createServer((_, response) => response.end(`quote of ${instance}`));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const endpoint = `http://127.0.0.1:${port}/`;
  // Heartbeats keep it healthy until the client is closed.
  await client.services.register({ name, endpoint, capabilities: ["quotes"] });
  return server;
}

const servers = [await served("one"), await served("two")];
for await (const instances of client.services.watch({ name })) {
  if (instances.filter(({ status }) => status === "HEALTHY").length === servers.length) {
    break;
  }
}
const answers = new Set<string>();
for (let call = 0; call < 4; call++) {
  const instance = await client.services.pick(name, "quotes");
  const response = await fetch(instance?.endpoint ?? "");
  answers.add(await response.text());
}
console.log([...answers].sort().join("\n"));
await client.close();
for (const server of servers) {
  server.close();
  server.closeAllConnections();
}
