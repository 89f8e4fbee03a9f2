/**
 * Builds the native addon, by cmake-js where CMake is found and by node-gyp where it is not. Both
 * read native/sources.txt and write build/Release/logflume.node.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { hasCommand, isStale, runQuietly } from './tools.mjs';

const COMPILERS = ['g++', 'clang++', 'c++'];

/**
 * Which way to build with the commands that `has` finds, or the Debian packages that are missing
 * for the way with fewer of them.
 */
export function planBuild(has) {
  const compiler = COMPILERS.some(has) ? [] : ['g++'];
  const cmake = [...compiler];
  if (!has('make') && !has('ninja')) cmake.push('make');
  if (!has('cmake')) cmake.push('cmake');
  if (cmake.length === 0) return { tool: 'cmake-js', missing: [] };

  const gyp = [...compiler];
  if (!has('make')) gyp.push('make');
  if (!has('python3')) gyp.push('python3');
  if (gyp.length === 0) return { tool: 'node-gyp', missing: [] };
  return { tool: undefined, missing: cmake.length <= gyp.length ? cmake : gyp };
}

/** The plan for this machine. A compiler named by $CXX is trusted to exist. */
export function planHere() {
  const named = process.env.CXX;
  return planBuild((name) => hasCommand(name) || (name === 'g++' && Boolean(named)));
}

/** What a user is told who cannot build. */
export function missingMessage(missing) {
  return (
    `cannot build the native addon, missing: ${missing.join(', ')}\n` +
    `  on Debian or Ubuntu: apt-get install -y --no-install-recommends ${missing.join(' ')}`
  );
}

/** Whether the addon must be built: never was, sources changed, or was built too leniently. */
export function addonIsStale(root, werror) {
  const stamp = stampOf(root);
  if (!existsSync(join(root, 'build/Release/logflume.node'))) return true;
  const sources = ['native', 'CMakeLists.txt', 'binding.gyp'].map((name) => join(root, name));
  if (isStale(stamp, sources)) return true;
  return werror && JSON.parse(readFileSync(stamp, 'utf8')).werror !== true;
}

/**
 * Builds in `root` and returns `{ status, output }`; status 0 is success. `root` is a checkout, or
 * a copy with native/, the build files, package.json and a link to node_modules.
 */
export function buildAddon({ root, tool, werror = false, sanitize = false }) {
  // Taken before the build, so that a source saved meanwhile counts as newer.
  const startedS = Date.now() / 1000;
  const build = tool === 'cmake-js' ? buildByCmake : buildByGyp;
  const result = build(root, { werror, sanitize });
  if (result.status !== 0) return result;
  mkdirSync(dirname(stampOf(root)), { recursive: true });
  writeFileSync(stampOf(root), `${JSON.stringify({ tool, werror, sanitize })}\n`);
  utimesSync(stampOf(root), startedS, startedS);
  return result;
}

function stampOf(root) {
  return join(root, 'build/addon.json');
}

function buildByCmake(root, { werror, sanitize }) {
  const cmakeJs = join(packageFolder(root, 'cmake-js'), 'bin/cmake-js');
  const step = (command) =>
    runQuietly(
      process.execPath,
      [
        cmakeJs,
        command,
        ...['-d', root, '--log-level', 'warn', '--parallel', String(availableParallelism())],
        // Said either way: CMake would keep an earlier answer in its cache.
        `--CDWERROR=${werror ? 'ON' : 'OFF'}`,
        `--CDSANITIZE=${sanitize ? 'ON' : 'OFF'}`,
      ],
      { cwd: root },
    );
  const configured = step('configure');
  if (configured.status === 0) return step('build');
  if (!existsSync(join(root, 'build/CMakeCache.txt'))) return configured;
  // The cache may be of a checkout that was moved, or of a generator that has gone.
  rmSync(join(root, 'build'), { recursive: true, force: true });
  const again = step('configure');
  return again.status === 0 ? step('build') : again;
}

function buildByGyp(root, { werror, sanitize }) {
  const args = [nodeGyp(root), 'rebuild', '-C', root, '-j', 'max'];
  // Headers that came with this Node save a download and surely fit.
  const nodeFolder = dirname(dirname(process.execPath));
  if (existsSync(join(nodeFolder, 'include/node/node_api.h'))) args.push(`--nodedir=${nodeFolder}`);
  const flags = [werror ? '-Werror' : '', sanitize ? '-fsanitize=address,undefined' : ''].join(' ');
  const env = { ...process.env, CXXFLAGS: `${process.env.CXXFLAGS ?? ''} ${flags}` };
  return runQuietly(process.execPath, args, { cwd: root, env });
}

function packageFolder(root, name) {
  const require = createRequire(join(root, 'package.json'));
  return dirname(require.resolve(`${name}/package.json`));
}

/** Ours in a checkout; npm's own copy where we are a dependency. */
function nodeGyp(root) {
  try {
    return join(packageFolder(root, 'node-gyp'), 'bin/node-gyp.js');
  } catch {
    const npms = process.env.npm_config_node_gyp;
    if (npms !== undefined && existsSync(npms)) return npms;
    throw new Error('node-gyp was not found; install cmake, or run the installation through npm');
  }
}
