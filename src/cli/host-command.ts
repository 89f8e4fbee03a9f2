/** `logflume host`: serves one pool until it is told to stop. */
import { type Command, Option } from 'commander';
import { pino } from 'pino';
import pretty from 'pino-pretty';
import { startHost } from '../../host/index.ts';
import { StoreError } from '../base/errors.ts';
import { defaultListenPath } from '../channel/default-socket.ts';
import { defaultBankDir } from '../platform/node-banks.ts';
import { print } from './output.ts';
import { parseSize } from './size.ts';

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error'];

interface HostCommandOptions {
  readonly pool: string;
  readonly listen?: string;
  readonly cache: string;
  readonly spinUs: string;
  readonly cpuBudget: string;
  readonly allowUid?: readonly string[];
  readonly bank?: string;
  readonly discardBank?: boolean;
  readonly logLevel: string;
}

export function addHostCommand(program: Command): void {
  program
    .command('host')
    .description('serve a pool to guests over a Unix socket')
    .requiredOption('--pool <file>', 'the pool')
    .option('--listen <socket>', 'the socket (else $XDG_RUNTIME_DIR or /tmp, one per user)')
    .option('--cache <size>', 'memory of the block cache', '256M')
    .option('--spin-us <us>', 'longest spin for work before sleeping', '50')
    .option('--cpu-budget <percent>', 'share of a core for polling without work', '20')
    .option('--allow-uid <uid...>', 'users whose processes may attach (default: yours and root)')
    .option('--bank <folder>', 'folder of the bank (default: a tmpfs)')
    .option('--discard-bank', 'give up completed writes that were not flushed, if the bank is lost')
    .addOption(new Option('--log-level <level>', 'least to log').choices(LEVELS).default('info'))
    .action(serve);
}

async function serve(options: HostCommandOptions): Promise<void> {
  const uid = process.getuid?.() ?? 0;
  const listen = options.listen ?? defaultListenPath(process.env, uid);
  const uids = options.allowUid?.map((text) => integer('--allow-uid', text));
  const bankDir = options.bank ?? defaultBankDir();
  const host = await startHost({
    pool: options.pool,
    listen,
    cacheBytes: parseSize(options.cache),
    spinUs: integer('--spin-us', options.spinUs),
    cpuBudget: integer('--cpu-budget', options.cpuBudget) / 100,
    allowedUids: uids,
    bankDir,
    discardBank: options.discardBank ?? false,
    logger: createLogger(options.logLevel),
  }).catch((error: unknown) => {
    throw namingFolder(error, bankDir);
  });
  print(`serving ${options.pool}, listening on ${listen}`);
  // If the host ends by itself, that rejects and says why.
  await Promise.race([stopSignal(), host.ended]);
  await host.close();
}

/** A lost bank (R3) is named with the folder in which it was looked for. */
function namingFolder(error: unknown, folder: string): unknown {
  if (!(error instanceof StoreError) || error.code !== 'bank_lost') return error;
  return new StoreError(error.code, { ...error.details, folder }, { cause: error });
}

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process as it always does. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
}

/** Lines for people on a terminal, JSON for whoever collects them; both on standard error. */
function createLogger(level: string) {
  // A `pid` in a line is a guest's; the host's own has a name of its own.
  const base = { hostPid: process.pid };
  if (!process.stderr.isTTY) return pino({ level, base }, pino.destination(2));
  return pino({ level, base }, pretty({ destination: 2, ignore: 'hostPid' }));
}

function integer(option: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0 && text.trim() !== '') return value;
  throw new StoreError('invalid_argument', { option, value: text, expected: 'a whole number' });
}
