/** A service in the mesh: it registers itself, and a caller finds an instance by its name. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Client } from "@flowmesh/client";

const client = await Client.connect();
const server = createServer((_, response) => response.end("SERVING"));
server.listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address() as AddressInfo;
// Heartbeats keep it healthy until the registration or the client is closed.
const registration = await client.services.register({
  name: "billing",
  endpoint: `http://127.0.0.1:${port}/health`,
  capabilities: ["invoices"],
});

for await (const instances of client.services.watch({ name: "billing" })) {
  if (instances.some(({ id, status }) => id === registration.instance.id && status === "HEALTHY")) {
    break;
  }
}
const instance = await client.services.pick("billing", "invoices");
const response = await fetch(instance?.endpoint ?? "");
console.log(`billing is ${await response.text()}`);

await client.close();
server.close();
server.closeAllConnections();
