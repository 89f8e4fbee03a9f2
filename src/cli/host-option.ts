/** How every command that talks to a host finds it. */
import type { Command } from 'commander';
import { type Admin, connectAdmin } from '../../guest/index.ts';

/** What such a command was given. */
export interface HostOption {
  readonly host?: string;
}

/** Adds `--host`. Without it `$LOGFLUME_HOST` counts, then the per-user default. */
export function withHost(command: Command): Command {
  return command.option('--host <socket>', "the host's socket (else $LOGFLUME_HOST, else yours)");
}

/** The part of guest options that names the host; empty where the default rule should decide. */
export function hostOf(options: HostOption): { host?: string } {
  return options.host === undefined ? {} : { host: options.host };
}

/** Runs `task` with a connection for administration that is closed afterwards. */
export async function withAdmin<Result>(
  options: HostOption,
  task: (admin: Admin) => Promise<Result>,
): Promise<Result> {
  const admin = await connectAdmin(hostOf(options));
  try {
    return await task(admin);
  } finally {
    await admin.close();
  }
}
