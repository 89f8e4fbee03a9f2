/** `logflume pool create|info`: pool files, without a host. */
import type { Command } from 'commander';
import { createPool } from '../log/create-pool.ts';
import { readPoolInfo } from '../log/pool-info.ts';
import { createNodePlatform } from '../platform/node-platform.ts';
import { formatFacts, print, printJson } from './output.ts';
import { formatSize, parseSize } from './size.ts';

interface CreateOptions {
  readonly size: string;
  readonly segmentSize?: string;
  readonly writeThrough?: boolean;
  readonly json?: boolean;
}

export function addPoolCommands(program: Command): void {
  const pool = program.command('pool').description('make and look at pool files');
  pool
    .command('create <file>')
    .description('make a pool file, all of its space allocated')
    .requiredOption('--size <size>', 'size of the file, e.g. 4G')
    .option('--segment-size <size>', 'size of a segment, 2M to 32M', '8M')
    .option('--write-through', 'write zeros through the whole file: synced writes are faster later')
    .option('--json', 'print JSON')
    .action(create);
  pool
    .command('info <file>')
    .description("show a pool's superblock")
    .option('--json', 'print JSON')
    .action(info);
}

async function create(file: string, options: CreateOptions): Promise<void> {
  const sizeBytes = parseSize(options.size);
  const segmentBytes = parseSize(options.segmentSize ?? '8M');
  const writeThrough = options.writeThrough ?? false;
  await createPool(createNodePlatform(), file, { sizeBytes, segmentBytes, writeThrough });
  if (options.json === true) return printJson({ file, sizeBytes, segmentBytes, writeThrough });
  const how = writeThrough ? 'written through' : 'allocated, not written through';
  print(`made ${file}: ${formatSize(sizeBytes)}, ${how}`);
}

async function info(file: string, options: { json?: boolean }): Promise<void> {
  const { pools, kernels } = createNodePlatform();
  const disk = await pools.open(file, { lockWaitMs: 0, readOnly: true, beside: true });
  const facts = await readPoolInfo(disk, kernels).finally(() => disk.close());
  if (options.json === true) printJson(facts);
  else print(formatFacts({ ...facts }));
}
