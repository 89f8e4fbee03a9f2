/**
 * `npm start [-- PATH]`: the main job on real input. A file set is streamed through the channel
 * into a volume and read back by another guest, while the host is killed and started again; then
 * the same between worker threads of one process. Exit status 0 only if every byte matched.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runAcrossProcesses } from './demo/across-processes.ts';
import { prepareSource } from './demo/source.ts';
import { formatHistogram, formatSummary } from './demo/summary.ts';
import { runWithinProcess } from './demo/within-process.ts';
import { formatError, print } from './output.ts';
import { formatSize } from './size.ts';

/** dist/src/cli/demo.js lies three folders below the checkout. */
const CHECKOUT = fileURLToPath(new URL('../../..', import.meta.url));

async function demonstrate(path: string): Promise<boolean> {
  // Short, because a socket's path holds 107 bytes.
  const folder = mkdtempSync(join(tmpdir(), 'logflume-'));
  try {
    const source = await prepareSource(path, folder);
    print(`input: ${source.says}, ${formatSize(source.byteLength)}`);
    print('part 1: three processes');
    const across = await runAcrossProcesses(source, folder, print);
    print('part 2: one process');
    const within = await runWithinProcess(source, folder, print);
    const parts = [across, within];
    print(`\n${formatSummary(parts)}`);
    if (across.probe !== undefined) {
      print('\ncached 4 KiB reads of the guest thread, one at a time:');
      print(formatHistogram(across.probe));
    }
    return parts.every(({ matched }) => matched);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

try {
  const path = resolve(process.argv[2] ?? CHECKOUT);
  const matched = await demonstrate(path);
  print(matched ? '\nevery byte matched' : '\nMISMATCH: what came back is not what went in');
  process.exitCode = matched ? 0 : 1;
} catch (error) {
  process.stderr.write(`${formatError(error, true)}\n`);
  process.exitCode = 1;
}
