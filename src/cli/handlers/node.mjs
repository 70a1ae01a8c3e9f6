// Responds to warmd's pings and passes every other event to your handler. No dependencies.
//
//   import { warmd } from "./warmd-handler.mjs";
//   export const handler = warmd(async (event, context) => { ... });
//
// In CommonJS, write `const { randomUUID } = require("node:crypto");` for the import and
// `module.exports = { warmd };` for the export. Streamed responses are not wrapped.

import { randomUUID } from "node:crypto";

// Set on the first invocation, because environments that are restored from one snapshot share
// everything that is set while the module is loaded.
let environment;

// The upper limit of a hold: callers cannot keep the function busy for longer.
const LONGEST_HOLD_MS = 10_000;

// Returns the hold of a ping in ms, or undefined for other events.
function holdOf(event) {
  const ping = event?.warmd;
  const hold = ping?.version === 1 ? ping.hold_ms : undefined;
  const isHold = typeof hold === "number" && hold >= 0 && hold <= 900_000;
  return isHold ? Math.min(hold, LONGEST_HOLD_MS) : undefined;
}

// Not async, and passes all arguments, so that handlers with a callback work.
export function warmd(handler) {
  return function (event, context, ...rest) {
    environment ??= randomUUID({ disableEntropyCache: true });
    const hold = holdOf(event);
    if (hold === undefined) return handler.call(this, event, context, ...rest);
    const initialization = process.env.AWS_LAMBDA_INITIALIZATION_TYPE ?? null;
    // Keeps this environment busy, so that the next ping reaches another one.
    return new Promise((resolve) => setTimeout(resolve, hold, { warmd: { environment, initialization } }));
  };
}
