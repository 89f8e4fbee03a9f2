/** `logflume bench`: a load on one volume of a running host, for a quick look at a machine. */
import { type Command, Option } from 'commander';
import { connect } from '../../guest/index.ts';
import { StoreError } from '../base/errors.ts';
import { type HostOption, hostOf, withHost } from './host-option.ts';
import { type LoadResult, PATTERNS, type Pattern, runLoad } from './load.ts';
import { formatFacts, print, printJson } from './output.ts';
import { formatCount, formatDurationUs, parseSize } from './size.ts';

interface BenchCommandOptions extends HostOption {
  readonly rw: Pattern;
  readonly bs: string;
  readonly depth: string;
  readonly seconds: string;
  readonly span?: string;
  readonly seed: string;
  readonly destroy?: boolean;
  readonly json?: boolean;
}

const SECONDS_MAX = 86_400;

export function addBenchCommand(program: Command): void {
  withHost(program.command('bench <volume>').description('put a load on a volume and measure it'))
    .addOption(
      new Option('--rw <pattern>', 'what to do').choices([...PATTERNS]).default('randread'),
    )
    .option('--bs <size>', 'bytes of a command', '4K')
    .option('--depth <count>', 'commands in flight', '32')
    .option('--seconds <seconds>', 'how long', '5')
    .option('--span <size>', 'only the first so much of the volume')
    .option('--seed <number>', 'of the random positions', '1')
    .option('--destroy', 'needed to write: what the volume holds is overwritten')
    .option('--json', 'print JSON')
    .action(bench);
}

async function bench(volume: string, options: BenchCommandOptions): Promise<void> {
  const writes = options.rw !== 'read' && options.rw !== 'randread';
  if (writes && options.destroy !== true) {
    const reason = 'this overwrites what the volume holds; add --destroy to do it';
    throw new StoreError('invalid_argument', { rw: options.rw, reason });
  }
  const blockBytes = parseSize(options.bs);
  const depth = positive('--depth', options.depth, 1024);
  const seconds = positive('--seconds', options.seconds, SECONDS_MAX);
  const driver = await connect({
    ...hostOf(options),
    volume,
    mode: writes ? 'exclusive' : 'readonly',
    queueDepth: Math.max(2, 2 ** Math.ceil(Math.log2(depth))),
    dataBytes: Math.max(8192, 2 * depth * blockBytes),
  });
  try {
    const result = runLoad(driver, {
      pattern: options.rw,
      blockBytes,
      depth,
      seconds,
      seed: Number(options.seed),
      ...(options.span === undefined ? {} : { spanBytes: parseSize(options.span) }),
    });
    show(result, options);
  } finally {
    await driver.close();
  }
}

function show({ count, iops, mbps, latency }: LoadResult, options: BenchCommandOptions): void {
  const us = (percent: number) => latency.percentile(percent) / 1000;
  if (options.json === true) {
    const latencyUs = { p50: us(50), p99: us(99), p999: us(99.9), max: latency.max / 1000 };
    printJson({ rw: options.rw, bs: options.bs, count, iops, mbps, latencyUs });
    return;
  }
  print(
    formatFacts({
      commands: formatCount(count),
      'per second': formatCount(iops),
      throughput: `${mbps.toFixed(1)} MB/s`,
      'latency p50': formatDurationUs(us(50)),
      'latency p99': formatDurationUs(us(99)),
      'latency max': formatDurationUs(latency.max / 1000),
    }),
  );
}

function positive(option: string, text: string, most: number): number {
  const value = Number(text);
  if (value > 0 && value <= most) return value;
  throw new StoreError('invalid_argument', {
    option,
    value: text,
    expected: `above 0, up to ${most}`,
  });
}
