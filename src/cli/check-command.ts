/** `logflume check`: verifies a closed pool, repairs nothing, names what is wrong. */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { Piscina } from 'piscina';
import type { CheckReport } from '../log/check.ts';
import { createNodePlatform } from '../platform/node-platform.ts';
import { checkStore } from '../store/check-store.ts';
import type { VerifyTask } from './check-worker.ts';
import { print, printJson } from './output.ts';
import { formatCount } from './size.ts';

/** A host that has just ended may hold the lock a moment longer: the kernel ends its disk queue later. */
const LOCK_WAIT_MS = 2000;
/** More would only queue up at the disk. */
const THREADS_MAX = 4;

interface CheckOptions {
  readonly json?: boolean;
  readonly bank?: string;
}

export function addCheckCommand(program: Command): void {
  program
    .command('check <pool>')
    .description('verify every structure and checksum of a pool that no host has open')
    .option('--bank <folder>', 'folder of the bank (default: a tmpfs)')
    .option('--json', 'print JSON')
    .action(check);
}

async function check(file: string, options: CheckOptions): Promise<void> {
  const bankDir = options.bank ?? process.env['LOGFLUME_BANK_DIR'];
  const platform = createNodePlatform(bankDir === undefined ? {} : { bankDir });
  const disk = await platform.pools.open(file, { lockWaitMs: LOCK_WAIT_MS, readOnly: true });
  const threads = new Piscina({
    filename: new URL('./check-worker.js', import.meta.url).href,
    name: 'verifyBlocks',
    maxThreads: Math.min(THREADS_MAX, availableParallelism()),
  });
  try {
    const path = resolve(file);
    const report = await checkStore(platform, disk, ({ pbas, sums }) => {
      const task: VerifyTask = { path, pbas, sums };
      return threads.run(task) as Promise<number[]>;
    });
    show(file, report, options.json === true);
  } finally {
    await threads.destroy();
    await disk.close();
  }
}

function show(file: string, report: CheckReport, json: boolean): void {
  const damaged = report.findings.some(({ severity }) => severity === 'damage');
  if (json) printJson({ file, ...report });
  else {
    for (const { severity, structure, text } of report.findings) {
      print(`${severity}: ${structure}: ${text}`);
    }
    const blocks = `${formatCount(report.mappedBlocks)} blocks verified`;
    const state = report.clean ? 'closed in order' : 'not closed in order';
    print(`${file}: ${damaged ? 'DAMAGED' : 'sound'}, ${state}, ${blocks}`);
  }
  if (damaged) process.exitCode = 1;
}
