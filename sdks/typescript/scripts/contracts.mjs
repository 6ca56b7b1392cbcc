/** Put the generated contracts into the sources of the package, which carries them. */
import { cpSync, rmSync } from "node:fs";

const target = new URL("../src/proto/", import.meta.url);
rmSync(target, { recursive: true, force: true });
cpSync(new URL("../../../gen/typescript/src/", import.meta.url), target, { recursive: true });
