/**
 * Runs once before the tests. Those that start workers or processes load dist/; `npm test` builds
 * it, a bare `npx vitest` does not.
 */
interface Dist {
  distIsStale(): boolean;
}

/** Each project of the configuration calls this; the first one speaks for all. */
const DONE = 'LOGFLUME_DIST_CHECKED';

export async function setup(): Promise<void> {
  if (process.env[DONE] !== undefined) return;
  process.env[DONE] = '1';
  const url = new URL('../../scripts/dist.mjs', import.meta.url).href;
  const { distIsStale } = (await import(url)) as Dist;
  if (!distIsStale()) return;
  process.stderr.write('dist/ is missing or older than the sources; npm run build makes it anew\n');
}
