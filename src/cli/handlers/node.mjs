// Answers warmd's pings and leaves every other event to your handler. No dependencies.
//
//   import { warmd } from "./warmd-handler.mjs";
//   export const handler = warmd(async (event, context) => { ... });
//
// In CommonJS, write `const { randomUUID } = require("node:crypto");` for the import and
// `module.exports = { warmd };` for the export. Streamed responses are not wrapped.

import { randomUUID } from "node:crypto";

// Made on the environment's first invocation, not here: environments that are restored from one
// snapshot would share what is made while the module is loaded.
let environment;

// Whoever may invoke the function must not keep it busy for longer.
const LONGEST_HOLD_MS = 10_000;

// The hold of a ping, in ms; undefined when the event is not a ping.
function holdOf(event) {
  const ping = event?.warmd;
  const hold = ping?.version === 1 ? ping.hold_ms : undefined;
  const isHold = typeof hold === "number" && hold >= 0 && hold <= 900_000;
  return isHold ? Math.min(hold, LONGEST_HOLD_MS) : undefined;
}

// Not async itself, and all arguments handed on: a handler with a callback stays one.
export function warmd(handler) {
  return function (event, context, ...rest) {
    environment ??= randomUUID({ disableEntropyCache: true });
    const hold = holdOf(event);
    if (hold === undefined) return handler.call(this, event, context, ...rest);
    const initialization = process.env.AWS_LAMBDA_INITIALIZATION_TYPE ?? null;
    // Keeps this environment busy, so that the next ping meets another.
    return new Promise((resolve) => setTimeout(resolve, hold, { warmd: { environment, initialization } }));
  };
}
