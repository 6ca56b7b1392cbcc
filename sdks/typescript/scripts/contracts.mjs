/** Put the generated contracts and types of REST into the sources of the package. */
import { cpSync, rmSync } from "node:fs";

const target = new URL("../src/proto/", import.meta.url);
rmSync(target, { recursive: true, force: true });
cpSync(new URL("../../../gen/typescript/src/", import.meta.url), target, { recursive: true });
const types = new URL("../../../console/src/api/schema.ts", import.meta.url);
cpSync(types, new URL("../src/web/rest_types.ts", import.meta.url));
