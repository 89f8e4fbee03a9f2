/** `logflume volume import|export`: whole files, through a guest like any other. */
import { closeSync, fstatSync, fsyncSync, openSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import cliProgress from 'cli-progress';
import type { Command } from 'commander';
import { connect, type DataBuffer, type Driver } from '../../guest/index.ts';
import { StoreError } from '../base/errors.ts';
import { alignUp, BLOCK_BYTES, SECTOR_BYTES } from '../base/units.ts';
import { type HostOption, hostOf, withAdmin, withHost } from './host-option.ts';
import { print, printJson } from './output.ts';
import { formatSize } from './size.ts';

/** One command's worth. */
const PIECE_BYTES = 512 * 1024;
/** Enough to keep disk and host busy at once. */
const PIECES_IN_FLIGHT = 8;

interface Options extends HostOption {
  readonly json?: boolean;
}

export function addTransferCommands(volume: Command): void {
  const add = (usage: string, says: string) =>
    withHost(volume.command(usage).description(says)).option('--json', 'print JSON');
  add('import <file> <name>', 'copy a file into a volume, made to fit if there is none').action(
    importFile,
  );
  add('export <name> <file>', 'copy a whole volume into a new file').action(exportVolume);
}

async function importFile(path: string, name: string, options: Options): Promise<void> {
  const file = await open(path, 'r');
  try {
    const byteLength = (await file.stat()).size;
    await requireRoom(name, byteLength, options);
    const driver = await connect({ ...hostOf(options), volume: name });
    try {
      await inPieces(driver, byteLength, async (buffer, position, pieceBytes) => {
        await readWhole(file, buffer.bytes, position, pieceBytes);
        const padded = alignUp(pieceBytes, SECTOR_BYTES);
        buffer.bytes.fill(0, pieceBytes, padded);
        await driver.async.writev(position, [buffer.bytes.subarray(0, padded)]);
      });
      await driver.async.flush();
    } finally {
      await driver.close();
    }
    report(options, { name, file: path, byteLength }, `imported ${formatSize(byteLength)}`);
  } finally {
    await file.close();
  }
}

/** Makes the volume if it is missing. @throws StoreError `out_of_range` if it is too small. */
async function requireRoom(name: string, byteLength: number, options: Options): Promise<void> {
  await withAdmin(options, async (admin) => {
    const volumes = await admin.listVolumes();
    const volume = volumes.find((candidate) => candidate.name === name);
    if (volume === undefined) {
      await admin.createVolume(name, Math.max(BLOCK_BYTES, alignUp(byteLength, BLOCK_BYTES)));
    } else if (volume.sizeBytes < byteLength) {
      const { sizeBytes } = volume;
      throw new StoreError('out_of_range', { volume: name, sizeBytes, fileBytes: byteLength });
    }
  });
}

async function exportVolume(name: string, path: string, options: Options): Promise<void> {
  const driver = await connect({ ...hostOf(options), volume: name, mode: 'readonly' });
  try {
    // Never over something that is there: an export that fails half-way would have eaten it.
    const file = await open(path, 'wx');
    try {
      const { sizeBytes } = driver.volume;
      await inPieces(driver, sizeBytes, async (buffer, position, pieceBytes) => {
        const bytes = buffer.bytes.subarray(0, pieceBytes);
        await driver.async.readInto(position, bytes);
        await writeWhole(file, bytes, position);
      });
      await file.sync();
      report(
        options,
        { name, file: path, byteLength: sizeBytes },
        `exported ${formatSize(sizeBytes)}`,
      );
    } finally {
      await file.close();
    }
    syncFolderOf(path);
  } finally {
    await driver.close();
  }
}

/** Runs `move` for each piece, several at once, each with a buffer of its own. */
async function inPieces(
  driver: Driver,
  byteLength: number,
  move: (buffer: DataBuffer, position: number, pieceBytes: number) => Promise<void>,
): Promise<void> {
  const bar = progressBar(byteLength);
  let next = 0;
  let done = 0;
  const runLane = async () => {
    const buffer = driver.allocate(PIECE_BYTES);
    try {
      while (next < byteLength) {
        const position = next;
        const pieceBytes = Math.min(PIECE_BYTES, byteLength - position);
        next += pieceBytes;
        await move(buffer, position, pieceBytes);
        done += pieceBytes;
        bar?.update(Math.round(done / (1024 * 1024)));
      }
    } finally {
      buffer.free();
    }
  };
  const lanes = Array.from({ length: PIECES_IN_FLIGHT }, runLane);
  try {
    await Promise.all(lanes);
  } finally {
    // A lane that failed must not leave others running into a closed file.
    next = byteLength;
    await Promise.allSettled(lanes);
    bar?.stop();
  }
}

/** A bar on standard error if that is a terminal; else nothing. */
function progressBar(byteLength: number): cliProgress.SingleBar | undefined {
  if (!process.stderr.isTTY) return undefined;
  const format = '{bar} {percentage} % | {value} of {total} MiB | {eta_formatted}';
  const bar = new cliProgress.SingleBar({ format }, cliProgress.Presets.shades_classic);
  bar.start(Math.ceil(byteLength / (1024 * 1024)), 0);
  return bar;
}

async function readWhole(
  file: FileHandle,
  bytes: Uint8Array,
  position: number,
  byteLength: number,
): Promise<void> {
  let filled = 0;
  while (filled < byteLength) {
    const { bytesRead } = await file.read(bytes, filled, byteLength - filled, position + filled);
    if (bytesRead === 0) {
      throw new StoreError('invalid_argument', { reason: 'the file shrank while it was read' });
    }
    filled += bytesRead;
  }
}

async function writeWhole(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let written = 0;
  while (written < bytes.byteLength) {
    const length = bytes.byteLength - written;
    const { bytesWritten } = await file.write(bytes, written, length, position + written);
    written += bytesWritten;
  }
}

/** The file's name must survive the loss of power as its bytes do. */
function syncFolderOf(path: string): void {
  const folder = path.includes('/') ? path.slice(0, path.lastIndexOf('/') + 1) : '.';
  const fd = openSync(folder, 'r');
  try {
    if (fstatSync(fd).isDirectory()) fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function report(
  options: Options,
  facts: Readonly<Record<string, string | number>>,
  sentence: string,
): void {
  if (options.json === true) printJson(facts);
  else print(sentence);
}
