import { createRequire } from 'node:module';
import { StoreError } from '../base/errors.ts';
import type { NativeAddon } from './addon.ts';

/** Relative to this file: as TypeScript in src/bindings, and compiled in dist/src/bindings. */
const ADDON_PATHS = [
  '../../build/Release/logflume.node',
  '../../../build/Release/logflume.node',
] as const;

let loaded: NativeAddon | undefined;
let failure: StoreError | undefined;

/**
 * The native addon of this environment, loaded at the first call.
 *
 * @throws StoreError `addon_missing` if it is not built, or does not load here; `cause` says why.
 * @hotpath
 */
export function addon(): NativeAddon {
  return loaded ?? load();
}

/** Whether `addon()` would succeed. Worker threads of one process do without the addon. */
export function addonAvailable(): boolean {
  try {
    addon();
    return true;
  } catch (error) {
    if (error instanceof StoreError) return false;
    throw error;
  }
}

function load(): NativeAddon {
  // Remembered, so that asking again and again costs no search of the file system.
  if (failure !== undefined) throw failure;
  const require = createRequire(import.meta.url);
  let cause: unknown;
  for (const path of ADDON_PATHS) {
    try {
      loaded = require(path) as NativeAddon;
      return loaded;
    } catch (error) {
      if (!isMissing(error)) {
        failure = new StoreError('addon_missing', { path: fullPath(path) }, { cause: error });
        throw failure;
      }
      cause ??= error;
    }
  }
  const paths = ADDON_PATHS.map(fullPath).join(' or ');
  failure = new StoreError('addon_missing', { path: paths }, { cause });
  throw failure;
}

function fullPath(path: string): string {
  return decodeURIComponent(new URL(path, import.meta.url).pathname);
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND';
}
