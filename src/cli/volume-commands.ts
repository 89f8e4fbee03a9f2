/** `logflume volume create|ls|info|resize|rm`: volumes of a running host. */
import type { Command } from 'commander';
import type { VolumeDescription } from '../../guest/index.ts';
import { type HostOption, withAdmin, withHost } from './host-option.ts';
import { formatFacts, formatTable, print, printJson } from './output.ts';
import { formatSize, parseSize } from './size.ts';

interface Options extends HostOption {
  readonly json?: boolean;
}

/** Returns the `volume` command, for its commands that live elsewhere. */
export function addVolumeCommands(program: Command): Command {
  const volume = program.command('volume').description('make, list and change volumes');
  const add = (usage: string, says: string) =>
    withHost(volume.command(usage).description(says)).option('--json', 'print JSON');
  add('create <name>', 'make a volume; its space is taken as it is written')
    .requiredOption('--size <size>', 'size, e.g. 1G')
    .action(create);
  add('ls', 'list the volumes').action(list);
  add('info <name>', 'show one volume').action(info);
  add('resize <name>', 'change a size; what lies past a smaller one is gone')
    .requiredOption('--size <size>', 'the new size')
    .action(resize);
  add('rm <name>', 'remove a volume and all that it holds').action(remove);
  return volume;
}

async function create(name: string, options: Options & { size: string }): Promise<void> {
  const sizeBytes = parseSize(options.size);
  const volume = await withAdmin(options, (admin) => admin.createVolume(name, sizeBytes));
  if (options.json === true) printJson(volume);
  else print(`made ${name}: ${formatSize(volume.sizeBytes)}`);
}

async function list(options: Options): Promise<void> {
  const volumes = await withAdmin(options, (admin) => admin.listVolumes());
  if (options.json === true) return printJson(volumes);
  print(volumes.length === 0 ? 'no volumes' : formatTable(volumes.map(rowOf)));
}

function rowOf({ name, sizeBytes, usedBytes, sessionCount }: VolumeDescription) {
  return {
    name,
    size: formatSize(sizeBytes),
    used: formatSize(usedBytes),
    guests: sessionCount,
  };
}

async function info(name: string, options: Options): Promise<void> {
  const volume = await withAdmin(options, (admin) => admin.volumeInfo(name));
  if (options.json === true) printJson(volume);
  else print(formatFacts({ id: volume.id, ...rowOf(volume) }));
}

async function resize(name: string, options: Options & { size: string }): Promise<void> {
  const sizeBytes = parseSize(options.size);
  const volume = await withAdmin(options, (admin) => admin.resizeVolume(name, sizeBytes));
  if (options.json === true) printJson(volume);
  else print(`${name} is ${formatSize(volume.sizeBytes)} now`);
}

async function remove(name: string, options: Options): Promise<void> {
  await withAdmin(options, (admin) => admin.removeVolume(name));
  if (options.json === true) printJson({ name, removed: true });
  else print(`removed ${name}`);
}
