/**
 * Blanks comments, strings and regular expressions in TypeScript, keeping every line and column.
 * Rules can then search for names without finding them in prose.
 *
 * A scanner of about five states, not a parser. A `/` begins a regular expression unless what
 * stands before it ends a value; that is wrong only after `if (…)` and the like, where nobody
 * writes one.
 */
const ENDS_VALUE = /[\w$)\]}'"`]$/;
const ENDS_KEYWORD = /(?:^|[^\w$.])(?:return|typeof|case|in|of|void|delete|throw|await|yield)$/;

type Part = 'code' | 'comment' | 'string';

/** Replaces all but line breaks by spaces. */
function blank(text: string): string {
  return text.replace(/[^\n]/g, ' ');
}

/** The end of the comment that begins at `start`, or `start` if none does. */
function commentEnd(text: string, start: number): number {
  if (text.startsWith('//', start)) {
    const end = text.indexOf('\n', start);
    return end < 0 ? text.length : end;
  }
  if (!text.startsWith('/*', start)) return start;
  const end = text.indexOf('*/', start + 2);
  return end < 0 ? text.length : end + 2;
}

/** The index behind the quote that ends a plain string opened at `start`. */
function stringEnd(text: string, start: number): number {
  const quote = text[start];
  let at = start + 1;
  while (at < text.length && text[at] !== quote && text[at] !== '\n') {
    at += text[at] === '\\' ? 2 : 1;
  }
  return Math.min(at + 1, text.length);
}

/** The index behind a regular expression opened at `start`. Its flags are left as code. */
function regexEnd(text: string, start: number): number {
  let inClass = false;
  for (let at = start + 1; at < text.length && text[at] !== '\n'; at++) {
    const character = text[at];
    if (character === '\\') at += 1;
    else if (character === '[') inClass = true;
    else if (character === ']') inClass = false;
    else if (character === '/' && !inClass) return at + 1;
  }
  return start + 1;
}

/** The index behind the text of a template, up to its end or to the next `${`. */
function templateEnd(text: string, start: number): number {
  for (let at = start; at < text.length; at++) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '`') return at + 1;
    else if (text.startsWith('${', at)) return at + 2;
  }
  return text.length;
}

/** Walks the text, calling `visit` for each part in order. The parts tile the text. */
function scan(text: string, visit: (part: Part, start: number, end: number) => void): void {
  // For each template we are inside of: how many braces of its `${…}` are open.
  const depths: number[] = [];
  let start = 0;
  let at = 0;
  const take = (part: Part, end: number) => {
    if (at > start) visit('code', start, at);
    if (end > at) visit(part, at, end);
    start = end;
    at = end;
  };
  const takeTemplate = (from: number) => {
    const end = templateEnd(text, from);
    if (text[end - 1] === '{') depths.push(0);
    take('string', end);
  };
  while (at < text.length) {
    const character = text[at];
    const depth = depths.at(-1);
    const end = commentEnd(text, at);
    if (end > at) take('comment', end);
    else if (character === "'" || character === '"') take('string', stringEnd(text, at));
    else if (character === '`') takeTemplate(at + 1);
    else if (character === '/' && startsRegex(text, at)) take('string', regexEnd(text, at));
    else if (character === '}' && depth === 0) {
      depths.pop();
      takeTemplate(at + 1);
    } else {
      if (depth !== undefined && character === '{') depths[depths.length - 1] = depth + 1;
      if (depth !== undefined && character === '}') depths[depths.length - 1] = depth - 1;
      at += 1;
    }
  }
  take('code', text.length);
}

function startsRegex(text: string, at: number): boolean {
  const before = text.slice(Math.max(0, at - 200), at).trimEnd();
  return !ENDS_VALUE.test(before) || ENDS_KEYWORD.test(before);
}

/** The text with comments blanked. Strings stay: imports are in them. */
export function blankComments(text: string): string {
  let result = '';
  scan(text, (part, start, end) => {
    const piece = text.slice(start, end);
    result += part === 'comment' ? blank(piece) : piece;
  });
  return result;
}

/** The text with comments, strings, template texts and regular expressions blanked. */
export function blankStrings(text: string): string {
  let result = '';
  scan(text, (part, start, end) => {
    const piece = text.slice(start, end);
    result += part === 'code' ? piece : blank(piece);
  });
  return result;
}
