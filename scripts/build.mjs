/**
 * `npm run build [-- --werror] [--if-stale]`: the addon if it is missing or older than its sources,
 * then dist/ from the TypeScript sources.
 */
import { build } from './dist.mjs';
import { requireNode } from './tools.mjs';

requireNode();
const options = new Set(process.argv.slice(2));
const werror = options.has('--werror') || process.env.LOGFLUME_WERROR === '1';
process.exit(build({ werror, onlyIfStale: options.has('--if-stale') }));
