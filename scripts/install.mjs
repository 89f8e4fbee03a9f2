/** npm's `install` step: builds the native addon, or says exactly what is missing. */
import { buildAddon, missingMessage, planHere } from './addon.mjs';
import { complain, ROOT, requireNode, say } from './tools.mjs';

requireNode();
const { tool, missing } = planHere();
if (tool === undefined) {
  complain(missingMessage(missing));
  process.exit(1);
}
// Set by `npm test`, so that the build which CI sees is the strict one from the start.
const werror = process.env.LOGFLUME_WERROR === '1';
say(`building the native addon with ${tool}`);
const { status, output } = buildAddon({ root: ROOT, tool, werror });
if (status !== 0) {
  complain(`${output.trimEnd()}\nlogflume: ${tool} could not build the native addon; see above`);
  process.exit(1);
}
