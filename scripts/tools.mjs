/**
 * What the scripts share. Plain Node without dependencies: most of this runs before node_modules
 * exists, and on machines where something is missing.
 */
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');

const NODE_MIN = [20, 19];

/** Says one line of what a script is doing. */
export function say(text) {
  console.log(`logflume: ${text}`);
}

/** Says what is wrong, on stderr. */
export function complain(text) {
  console.error(`logflume: ${text}`);
}

/** Ends the process with one line if this Node is too old to run the rest. */
export function requireNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1])) return;
  complain(`Node.js ${NODE_MIN.join('.')} or newer is needed; this is ${process.versions.node}`);
  process.exit(1);
}

/** Whether a command of this name is on the PATH. */
export function hasCommand(name) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return folder !== '';
    } catch {
      return false;
    }
  });
}

/** Runs a command on our terminal and returns its exit status; 127 if it could not be started. */
export function run(command, args, { cwd = ROOT, env = process.env } = {}) {
  const result = spawnSync(command, args, { cwd, env, stdio: 'inherit' });
  if (result.error !== undefined) complain(`cannot run ${command}: ${result.error.message}`);
  return result.status ?? (result.signal === null ? 127 : 128);
}

/** Runs a command and returns its status with all it printed, to be shown only if it matters. */
export function runQuietly(command, args, { cwd = ROOT, env = process.env } = {}) {
  const maxBuffer = 64 * 1024 * 1024;
  const result = spawnSync(command, args, { cwd, env, encoding: 'utf8', maxBuffer });
  const output = `${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}`;
  return { status: result.status ?? 1, output };
}

/**
 * Becomes `node script args`: its terminal, its signals, its exit status. Resolves never; this
 * process ends when the other does.
 */
export function become(script, args, nodeOptions = []) {
  if (!existsSync(join(ROOT, script))) {
    complain(`${script} is not there; npm run build makes it from the sources`);
    process.exit(1);
  }
  const child = spawn(process.execPath, [...nodeOptions, join(ROOT, script), ...args], {
    cwd: process.cwd(),
    stdio: 'inherit',
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => child.kill(signal));
  }
  child.on('error', (error) => {
    complain(`cannot run ${script}: ${error.message}`);
    process.exit(1);
  });
  child.on('exit', (status, signal) => {
    if (signal !== null) complain(`${script} was ended by ${signal}`);
    process.exit(status ?? 1);
  });
}

/** When something at or below these paths last changed, in ms; 0 if none of them exists. */
export function newestMs(paths, skip = new Set(['node_modules', 'node24'])) {
  let newest = 0;
  for (const path of paths) {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) continue;
    // A folder's own time counts too: it is what changes when a file is deleted.
    newest = Math.max(newest, stat.mtimeMs);
    if (!stat.isDirectory()) continue;
    const names = readdirSync(path).filter((name) => !skip.has(name));
    newest = Math.max(
      newest,
      newestMs(
        names.map((name) => join(path, name)),
        skip,
      ),
    );
  }
  return newest;
}

/** Whether `stamp` is missing or older than anything at or below `paths`. */
export function isStale(stamp, paths) {
  const stat = statSync(stamp, { throwIfNoEntry: false });
  return stat === undefined || stat.mtimeMs < newestMs(paths);
}
