// Validate an AsyncAPI document: node asyncapi.mjs PATH
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
for (const { message, path } of diagnostics) console.log(`warning: ${path.join("/")}: ${message}`);
if (document === undefined) process.exit(1);
