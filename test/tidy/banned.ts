/** Names that may not appear, and where. */
import { lineAt, type Source } from './source.ts';

interface Ban {
  readonly pattern: RegExp;
  readonly says: string;
  /** Folders in which it is allowed. */
  readonly except: readonly string[];
}

const OUTSIDE = ['src/platform/', 'src/cli/'];
const FROM_PLATFORM = 'comes in through src/platform';

/** In the product's code, not in comments or strings. */
const CODE_BANS: readonly Ban[] = [
  { pattern: /\bDate\.now\b|\bnew Date\(\s*\)/g, says: `time ${FROM_PLATFORM}`, except: OUTSIDE },
  { pattern: /\bperformance\.now\b/g, says: `time ${FROM_PLATFORM}`, except: OUTSIDE },
  { pattern: /\bprocess\.hrtime\b/g, says: `time ${FROM_PLATFORM}`, except: OUTSIDE },
  { pattern: /\bset(Timeout|Interval)\b/g, says: `time ${FROM_PLATFORM}`, except: OUTSIDE },
  { pattern: /\bMath\.random\b/g, says: `randomness ${FROM_PLATFORM}`, except: OUTSIDE },
  {
    pattern: /\brandom(Bytes|UUID|Int|Fill(Sync)?)\b|\bgetRandomValues\b/g,
    says: `randomness ${FROM_PLATFORM}`,
    except: OUTSIDE,
  },
  {
    pattern: /\bAtomics\b/g,
    says: 'Atomics stay in src/memory',
    // The disk queue's completion word is the kernel's counter, which nothing else can load.
    except: ['src/memory/', 'src/platform/', 'src/bindings/disk-queue.ts'],
  },
];

/** Modules that are the outside world. */
const IMPORT_BANS: readonly Ban[] = [
  { pattern: /^(node:)?fs(\/|$)/, says: `the disk ${FROM_PLATFORM}`, except: OUTSIDE },
  { pattern: /^(node:)?timers(\/|$)/, says: `time ${FROM_PLATFORM}`, except: OUTSIDE },
];

/** In all our TypeScript. */
const TYPE_BANS: readonly Ban[] = [
  { pattern: /\bas any\b|<any>|:\s*any\b/g, says: 'any hides what the compiler knows', except: [] },
  {
    pattern: /\bas unknown as\b/g,
    says: 'a cast through unknown hides a wrong type',
    // Tests hand over wrong values on purpose.
    except: ['test/', 'bench/'],
  },
];
const DIRECTIVE = new RegExp('@ts-(?:ig' + 'nore|noch' + 'eck)', 'g');

/** In every text, prose included. Spelt so that this file does not report itself. */
const MARK = new RegExp('\\bFIX' + 'ME\\b|\\bTO' + 'DO\\b(?! ?\\((?:#\\d+|test/[^)\\s]+)\\))', 'g');
const MACHINE_PATH = new RegExp('(?<![\\w.-])/(?:wo' + 'rk|ro' + 'ot|home/[a-z]\\w*)/', 'g');
const REGISTRY = new RegExp(
  '"res' + 'olved": *"https?:|https?://[^/\\s"]*(?:registry|artifactory|nexus)',
  'g',
);

function allowed(path: string, ban: Ban): boolean {
  return ban.except.some((folder) => path.startsWith(folder));
}

function report(source: Source, text: string, pattern: RegExp, says: string): string[] {
  return [...text.matchAll(pattern)].map((match) => {
    return `${source.path}:${lineAt(text, match.index)}: ${match[0].trim()}: ${says}`;
  });
}

/** Time, chance, disk and Atomics where the product may not have them. */
export function bannedInProduct(source: Source): string[] {
  const { path, code } = source;
  const names = CODE_BANS.filter((ban) => !allowed(path, ban)).flatMap(({ pattern, says }) =>
    report(source, code, pattern, says),
  );
  const modules = IMPORT_BANS.filter((ban) => !allowed(path, ban)).flatMap(({ pattern, says }) =>
    source.imports
      .filter(({ target, ours }) => !ours && pattern.test(target))
      .map(({ target, line }) => `${path}:${line}: ${target}: ${says}`),
  );
  return [...names, ...modules];
}

/** Ways around the type checker. */
export function bannedTypes(source: Source): string[] {
  const bans = TYPE_BANS.filter((ban) => !allowed(source.path, ban));
  return [
    ...bans.flatMap(({ pattern, says }) => report(source, source.code, pattern, says)),
    ...report(source, source.text, DIRECTIVE, 'mend the type instead'),
  ];
}

/** Marks without a test or an issue, and names of somebody's machine. */
export function bannedText(source: Source): string[] {
  return [
    ...report(source, source.text, MARK, 'name a test or an issue, as in (#12)'),
    ...report(source, source.text, MACHINE_PATH, 'a path of one machine'),
    ...report(source, source.text, REGISTRY, 'a registry of one machine'),
  ];
}
