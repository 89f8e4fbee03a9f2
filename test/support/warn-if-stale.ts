/**
 * Runs once before the tests. Those that start workers or processes load dist/; `npm test` builds
 * it, a bare `npx vitest` does not.
 */
interface Dist {
  distIsStale(): boolean;
}

export async function setup(): Promise<void> {
  const url = new URL('../../scripts/dist.mjs', import.meta.url).href;
  const { distIsStale } = (await import(url)) as Dist;
  if (!distIsStale()) return;
  process.stderr.write('dist/ is missing or older than the sources; npm run build makes it anew\n');
}
