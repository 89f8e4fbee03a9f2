/**
 * `npm run test:sanitize [-- TEST_PATHS]`: builds the addon with the address and undefined-behaviour
 * sanitizers in a copy of the checkout and runs the tests of its bindings there. The ordinary build
 * stays untouched.
 */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { buildAddon, planHere } from './addon.mjs';
import { complain, hasCommand, ROOT, run, say } from './tools.mjs';

const REPORT = 'sanitizer-report';
const COPIED = [
  ...['src', 'guest', 'host', 'bench', 'test', 'native', 'scripts'],
  ...['package.json', 'tsconfig.json', 'vitest.config.ts', 'CMakeLists.txt', 'binding.gyp'],
];

function copyCheckout() {
  const folder = mkdtempSync(join(tmpdir(), 'logflume-sanitize-'));
  for (const name of COPIED) {
    const filter = (source) => !source.endsWith('/node_modules');
    if (existsSync(join(ROOT, name))) {
      cpSync(join(ROOT, name), join(folder, name), { recursive: true, filter });
    }
  }
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

/** The compiler's runtime libraries, which must be loaded before anything else of the process. */
function runtimes() {
  const found = ['libasan.so', 'libubsan.so'].map((name) => {
    const args = [`-print-file-name=${name}`];
    return spawnSync('gcc', args, { encoding: 'utf8' }).stdout?.trim() ?? '';
  });
  return found.every((path) => isAbsolute(path)) ? found.join(' ') : undefined;
}

function sanitize(folder, tests) {
  const { tool } = planHere();
  const preload = hasCommand('gcc') ? runtimes() : undefined;
  if (tool === undefined || preload === undefined) {
    complain(
      'the sanitizers need g++ with libasan and libubsan: apt-get install -y g++ make cmake',
    );
    return 1;
  }
  say(`building the addon with sanitizers in ${folder}`);
  const built = buildAddon({ root: folder, tool, werror: true, sanitize: true });
  if (built.status !== 0) {
    complain(built.output.trimEnd());
    return built.status;
  }
  const node = process.execPath;
  const compiled = run(node, ['node_modules/typescript/bin/tsc'], { cwd: folder });
  if (compiled !== 0) return compiled;
  const reports = join(folder, REPORT);
  const env = {
    ...process.env,
    LD_PRELOAD: preload,
    // Node itself keeps much until it exits, which is no leak of ours. The reports go to files:
    // vitest would swallow the last words of a process that dies.
    ASAN_OPTIONS: `detect_leaks=0:log_path=${reports}`,
    UBSAN_OPTIONS: `print_stacktrace=1:log_path=${reports}`,
    LOGFLUME_DIST_CHECKED: '1',
  };
  const args = ['node_modules/vitest/vitest.mjs', 'run', ...tests];
  const tested = run(node, args, { cwd: folder, env });
  return printReports(folder) ? 1 : tested;
}

/** Prints what the sanitizers found; whether they found anything. */
function printReports(folder) {
  const reports = readdirSync(folder).filter((name) => name.startsWith(REPORT));
  for (const name of reports) complain(readFileSync(join(folder, name), 'utf8').trimEnd());
  return reports.length > 0;
}

const tests = process.argv.slice(2);
const folder = copyCheckout();
try {
  process.exitCode = sanitize(folder, tests.length > 0 ? tests : ['test/bindings']);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
