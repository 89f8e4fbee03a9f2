/**
 * The tables of docs/formats.md and docs/protocol.md say of every stored or shared record what its
 * declaration says: name, length, and each field's offset and length; and of every error what
 * src/base/errors.ts says.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { codeOf, StoreError } from '../../src/base/errors.ts';
import { describeRecord } from '../../src/base/record.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDERS = ['src/formats', 'src/channel'];
/** All statuses given out so far are below this. */
const STATUSES_LOOKED_AT = 256;
const DOCUMENTS = ['docs/formats.md', 'docs/protocol.md'];

/** `describeRecord` of everything that the modules of these folders export and that is a record. */
async function declaredRecords(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const folder of FOLDERS) {
    for (const file of readdirSync(`${ROOT}${folder}`)) {
      const module = (await import(`${ROOT}${folder}/${file}`)) as Record<string, unknown>;
      for (const [name, value] of Object.entries(module)) {
        if (isTable(value)) found.set(name, describeRecord(value));
      }
    }
  }
  return found;
}

function isTable(value: unknown): value is { readonly byteLength: number } {
  if (typeof value !== 'object' || value === null) return false;
  // Arrays of bytes have such a number as well.
  return Object.isFrozen(value) && Object.hasOwn(value, 'byteLength');
}

/** The same descriptions, out of headings such as `### Name (64 bytes)` and the tables below them. */
function describedRecords(): Map<string, string> {
  const found = new Map<string, string>();
  let name: string | undefined;
  for (const document of DOCUMENTS) {
    for (const line of readFileSync(`${ROOT}${document}`, 'utf8').split('\n')) {
      if (line.startsWith('#')) {
        const heading = /^### (\w+) \((\d+) bytes\)$/.exec(line);
        name = heading?.[1];
        if (name !== undefined) found.set(name, `${name}[${heading?.[2]}]`);
      }
      const row = /^\| (\d+) \| (\d+) \| `(\w+)` \|/.exec(line);
      if (row === null || name === undefined) continue;
      found.set(name, `${found.get(name)} ${row[3]}@${row[1]}+${row[2]}`);
    }
  }
  return found;
}

describe('the tables of the records', async () => {
  const declared = await declaredRecords();
  const described = describedRecords();

  it('are as many as there are records', () => {
    expect(declared.size).toBeGreaterThan(20);
    expect([...described.keys()].sort()).toEqual([...declared.keys()].sort());
  });

  it.each([...declared.keys()])('say what the declaration says: %s', (name) => {
    expect(described.get(name)).toBe(declared.get(name));
  });
});

describe('the table of statuses', () => {
  const protocol = readFileSync(`${ROOT}docs/protocol.md`, 'utf8');
  const codes = Array.from({ length: STATUSES_LOOKED_AT }, (_, status) => codeOf(status));

  it.each([...new Set(codes)])('says number, reaction and errno: %s', (code) => {
    const { status, reaction, errno } = new StoreError(code);
    expect(protocol).toContain(`| ${status} | \`${code}\` | ${reaction} | ${errno} |`);
  });
});
