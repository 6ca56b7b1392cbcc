/** Report exported symbols, and public methods of exported classes, without a comment. */
import { fileURLToPath } from "node:url";
import ts from "typescript";

const entries = ["index", "web/index"].map((name) =>
  fileURLToPath(new URL(`../dist/${name}.d.ts`, import.meta.url)),
);
const program = ts.createProgram(entries, { moduleResolution: ts.ModuleResolutionKind.Bundler });
const checker = program.getTypeChecker();
const missing = [];

function isDocumented(symbol) {
  return symbol.getDocumentationComment(checker).length > 0;
}

for (const entry of entries) {
  const module = checker.getSymbolAtLocation(program.getSourceFile(entry));
  for (const exported of checker.getExportsOfModule(module)) {
    const isAlias = exported.flags & ts.SymbolFlags.Alias;
    const symbol = isAlias ? checker.getAliasedSymbol(exported) : exported;
    const file = symbol.declarations?.[0]?.getSourceFile().fileName ?? "";
    if (!isDocumented(symbol) && !file.endsWith("rest_types.d.ts")) {
      missing.push(symbol.name);
    }
    for (const member of symbol.members?.values() ?? []) {
      const isMethod = member.flags & ts.SymbolFlags.Method && !member.name.startsWith("__");
      if (symbol.flags & ts.SymbolFlags.Class && isMethod && !isDocumented(member)) {
        missing.push(`${symbol.name}.${member.name}`);
      }
    }
  }
}
if (missing.length > 0) {
  console.error(`exported without a comment: ${missing.join(", ")}`);
  process.exit(1);
}
