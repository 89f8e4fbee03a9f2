/** The demonstration's real input: a file as it is, or a folder as one archive. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { join } from 'node:path';
import { StoreError } from '../../base/errors.ts';

/** A file to stream, with what was found in it without any help of ours. */
export interface Source {
  readonly says: string;
  readonly path: string;
  readonly byteLength: number;
  readonly sha256: string;
}

/**
 * A file to stream: `path` itself, or an archive of the folder `path` made in `folder`.
 *
 * @throws StoreError `invalid_argument` if there is nothing to stream; `system_error` if tar fails.
 */
export async function prepareSource(path: string, folder: string): Promise<Source> {
  const facts = statSync(path, { throwIfNoEntry: false });
  if (facts === undefined) throw new StoreError('invalid_argument', { path, reason: 'not there' });
  const archived = facts.isDirectory();
  const streamed = archived ? join(folder, 'input.tar') : path;
  if (archived) await archive(path, streamed);
  const byteLength = statSync(streamed).size;
  if (byteLength === 0) throw new StoreError('invalid_argument', { path, reason: 'empty' });
  const says = archived ? `an archive of ${path}` : path;
  return { says, path: streamed, byteLength, sha256: await hashFile(streamed) };
}

/** tar's status when files changed while it read them: an archive all the same. */
const TAR_SOME_CHANGED = 1;

function archive(folder: string, target: string): Promise<void> {
  const args = ['-cf', target, '--exclude=./build', '--exclude=./.git', '-C', folder, '.'];
  const tar = spawn('tar', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let complaints = '';
  tar.stderr.on('data', (chunk: Buffer) => {
    complaints = (complaints + chunk.toString()).slice(-500);
  });
  return new Promise((resolve, reject) => {
    tar.on('error', (cause) => {
      reject(new StoreError('system_error', { call: 'tar', reason: 'not found' }, { cause }));
    });
    tar.on('exit', (status) => {
      if (status === 0 || status === TAR_SOME_CHANGED) resolve();
      else reject(new StoreError('system_error', { call: 'tar', says: complaints.trim() }));
    });
  });
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
