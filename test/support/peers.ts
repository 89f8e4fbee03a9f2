/** Programs that some tests need beside Node. scripts/provide-peers.sh installs them. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * Whether the command is there, for `it.skipIf(!hasPeer('strace'))`. Throws where peers are
 * required (in CI), so that a missing one is a failure and not a quiet skip.
 */
export function hasPeer(command: string): boolean {
  const found = (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  if (!found && process.env['LOGFLUME_PEERS'] === 'required') {
    throw new Error(`${command} is missing; scripts/provide-peers.sh installs it`);
  }
  return found;
}
