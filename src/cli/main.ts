#!/usr/bin/env node
/** `logflume`: one command per file beside this one; this file only puts them together. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { addBenchCommand } from './bench-command.ts';
import { addCheckCommand } from './check-command.ts';
import { addHostCommand } from './host-command.ts';
import { formatError } from './output.ts';
import { addPoolCommands } from './pool-commands.ts';
import { addStatCommand } from './stat-command.ts';
import { addTransferCommands } from './transfer-commands.ts';
import { addVolumeCommands } from './volume-commands.ts';

const PACKAGE_JSON = new URL('../../../package.json', import.meta.url);

function version(): string {
  const facts = JSON.parse(readFileSync(PACKAGE_JSON, 'utf8')) as { version: string };
  return facts.version;
}

function createProgram(): Command {
  const program = new Command('logflume')
    .description('Shared-memory storage for the guests of one machine')
    .version(version())
    .option('--verbose', 'with an error, show its causes')
    .showHelpAfterError('(see --help)')
    .exitOverride();
  addPoolCommands(program);
  addHostCommand(program);
  const volume = addVolumeCommands(program);
  addTransferCommands(volume);
  addCheckCommand(program);
  addStatCommand(program);
  addBenchCommand(program);
  return program;
}

const program = createProgram();
try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // Commander has printed it; help and version end with 0.
    process.exitCode = error.exitCode === 0 ? 0 : 1;
  } else {
    process.stderr.write(`${formatError(error, program.opts()['verbose'] === true)}\n`);
    process.exitCode = 1;
  }
}
