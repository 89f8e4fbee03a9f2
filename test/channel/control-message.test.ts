/**
 * The codec of control messages: whole messages survive, wherever reads end; whatever else comes
 * ends the stream with an error that says `detach` or `refuse`, and no descriptor is lost count of.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StoreError } from '../../src/base/errors.ts';
import {
  CONTROL_BODY_BYTES_MAX,
  ControlDecoder,
  ControlHeader,
  type DecodedControl,
  encodeControl,
} from '../../src/channel/control-message.ts';
import { type ControlMessage, handleCountOf } from '../../src/channel/control-schema.ts';
import { MESSAGES } from './messages.ts';

const VIOLATION = expect.objectContaining({ code: 'protocol_violation', reaction: 'detach' });

/** Feeds in pieces of these sizes, over and over; descriptors with the piece of their first byte. */
function feed(decoder: ControlDecoder, stream: Uint8Array, sizes: number[], fdsAt: Fds[]) {
  const decoded: DecodedControl[] = [];
  for (let at = 0, i = 0; at < stream.byteLength; i++) {
    const size = Math.min(sizes[i % sizes.length] ?? 1, decoder.roomBytes);
    const end = Math.min(at + size, stream.byteLength);
    const fds = fdsAt.filter(({ position }) => position >= at && position < end);
    decoder.push(
      stream.subarray(at, end),
      fds.flatMap(({ descriptors }) => descriptors),
    );
    for (let next = decoder.next(); next !== undefined; next = decoder.next()) decoded.push(next);
    at = end;
  }
  return decoded;
}

interface Fds {
  readonly position: number;
  readonly descriptors: number[];
}

function streamOf(messages: readonly ControlMessage[]) {
  const parts = messages.map(encodeControl);
  const fdsAt: Fds[] = [];
  let position = 0;
  let fd = 100;
  for (const [i, message] of messages.entries()) {
    const descriptors = Array.from({ length: handleCountOf(message.type) }, () => fd++);
    fdsAt.push({ position, descriptors });
    position += (parts[i] as Uint8Array).byteLength;
  }
  return { stream: new Uint8Array(Buffer.concat(parts)), fdsAt };
}

function withBody(body: string | Uint8Array, descriptorCount = 0): Uint8Array {
  const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body;
  const whole = encodeControl({ type: 'detach' });
  const message = new Uint8Array(ControlHeader.byteLength + bytes.byteLength);
  message.set(whole.subarray(0, ControlHeader.byteLength));
  message.set(bytes, ControlHeader.byteLength);
  const view = new DataView(message.buffer);
  view.setUint32(ControlHeader.bodyBytes, bytes.byteLength, true);
  view.setUint16(ControlHeader.descriptorCount, descriptorCount, true);
  return message;
}

function decode(message: Uint8Array, descriptors: number[] = []): DecodedControl | undefined {
  const decoder = new ControlDecoder();
  decoder.push(message, descriptors);
  return decoder.next();
}

describe('control messages', () => {
  it.each(MESSAGES.map((message) => [message.type, message] as const))(
    'carries %s',
    (_, message) => {
      const { stream, fdsAt } = streamOf([message]);
      const decoded = decode(stream, fdsAt[0]?.descriptors);
      expect(decoded).toEqual({ message, descriptors: fdsAt[0]?.descriptors });
    },
  );

  it('are the same wherever reads end, descriptors included', () => {
    const order = fc.shuffledSubarray([...MESSAGES], { minLength: 1 });
    const sizes = fc.array(
      fc.oneof(
        fc.integer({ min: 1, max: 40 }),
        fc.nat(4000).map((n) => n + 1),
      ),
      {
        minLength: 1,
        maxLength: 5,
      },
    );
    const property = fc.property(order, sizes, (messages, pieces) => {
      const { stream, fdsAt } = streamOf(messages);
      const decoder = new ControlDecoder();
      const decoded = feed(decoder, stream, pieces, fdsAt);
      expect(decoded.map(({ message }) => message)).toEqual(messages);
      expect(decoded.map(({ descriptors }) => descriptors)).toEqual(
        fdsAt.map(({ descriptors }) => descriptors),
      );
      expect(decoder.takeDescriptors()).toEqual([]);
    });
    fc.assert(property, { numRuns: 300 });
  });

  it('drops fields that it does not know, and keeps codes that it does not know apart', () => {
    const body = JSON.stringify({ type: 'error', code: 'from_the_future', message: 'm', extra: 1 });
    expect(decode(withBody(body))?.message).toEqual({
      type: 'error',
      code: 'protocol_mismatch',
      message: 'm',
    });
  });

  it('refuses another version by name', () => {
    const message = encodeControl({ type: 'detach' });
    new DataView(message.buffer).setUint16(ControlHeader.version, 9, true);
    const details = { field: 'protocolVersion', found: 9, expected: 1 };
    expect(() => decode(message)).toThrow(
      expect.objectContaining({ code: 'protocol_mismatch', details }),
    );
  });

  it('does not encode what its receiver would refuse', () => {
    const result = { text: 'x'.repeat(CONTROL_BODY_BYTES_MAX) };
    const message: ControlMessage = { type: 'reply', requestId: 1, result };
    expect(() => encodeControl(message)).toThrow(
      expect.objectContaining({ code: 'limit_exceeded' }),
    );
  });
});

describe('a stream that is wrong', () => {
  const bodies: Record<string, string | Uint8Array> = {
    'no JSON': '{"type":',
    'no object': '7',
    null: 'null',
    'no type': '{}',
    'an unknown type': '{"type":"shutdown"}',
    'an inherited type': '{"type":"toString"}',
    'a missing field': '{"type":"start"}',
    'a wrong type': '{"type":"start","epoch":"1"}',
    'a fraction': '{"type":"start","epoch":1.5}',
    'a negative number': '{"type":"start","epoch":-1}',
    'an unsafe number': '{"type":"volume-resized","sizeBytes":9007199254740993}',
    'too deep': `${'['.repeat(40)}${']'.repeat(40)}`,
    'very deep': '['.repeat(60_000),
    'no UTF-8': Uint8Array.from([0x22, 0xff, 0x22]),
    'a name with a slash': '{"type":"volume-info","requestId":1,"name":"a/b"}',
    'a name with a control character': '{"type":"volume-info","requestId":1,"name":"a\\u0007b"}',
    'a long name': JSON.stringify({ type: 'volume-info', requestId: 1, name: 'x'.repeat(129) }),
  };
  it.each(Object.entries(bodies))('ends over %s', (_, body) => {
    expect(() => decode(withBody(body))).toThrow(VIOLATION);
  });

  it('keeps nothing of a prototype that a body names', () => {
    const body = '{"type":"reply","requestId":1,"result":{"a":1},"__proto__":{"polluted":1}}';
    const message = decode(withBody(body))?.message as object;
    expect('polluted' in message).toBe(false);
    expect('polluted' in {}).toBe(false);
  });

  it.each([
    ['a longer body', ControlHeader.bodyBytes, 4, CONTROL_BODY_BYTES_MAX + 1],
    ['a body of 4 GiB', ControlHeader.bodyBytes, 4, 0xffff_ffff],
    ['no body', ControlHeader.bodyBytes, 4, 0],
    ['another magic', ControlHeader.magic, 4, 0x4d43_464d],
    ['a reserve in use', ControlHeader.reserved, 4, 0x0100_0000],
    ['descriptors that did not come', ControlHeader.descriptorCount, 2, 1],
  ] as const)('ends at a header with %s', (_, offset, bytes, value) => {
    const message = encodeControl({ type: 'detach' });
    const view = new DataView(message.buffer);
    if (bytes === 4) view.setUint32(offset, value, true);
    else view.setUint16(offset, value, true);
    // The header alone is enough: nobody waits for a body that will not be accepted.
    expect(() => decode(message.subarray(0, ControlHeader.byteLength))).toThrow(VIOLATION);
  });

  it('ends over descriptors that no message claims, and gives them back to be closed', () => {
    const decoder = new ControlDecoder();
    decoder.push(encodeControl({ type: 'detach' }), [5, 6]);
    expect(decoder.next()?.message).toEqual({ type: 'detach' });
    expect(() => decoder.next()).toThrow(VIOLATION);
    expect(decoder.takeDescriptors()).toEqual([5, 6]);
    expect(decoder.takeDescriptors()).toEqual([]);
  });

  it('ends over more descriptors than anybody sends, and gives them back', () => {
    const decoder = new ControlDecoder();
    const descriptors = Array.from({ length: 9 }, (_, i) => 10 + i);
    expect(() => decoder.push(new Uint8Array(1), descriptors)).toThrow(VIOLATION);
    expect(decoder.takeDescriptors()).toEqual(descriptors);
  });

  it('ends over a message whose descriptors are not those of its type', () => {
    expect(() => decode(withBody('{"type":"detach"}', 1), [7])).toThrow(VIOLATION);
  });

  it('decodes or ends, and never does anything else, whatever bytes come', () => {
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.tuple(fc.constantFrom(...MESSAGES), fc.nat(), fc.nat(255)).map(([message, at, byte]) => {
        const bytes = encodeControl(message);
        bytes[at % bytes.byteLength] = byte;
        return bytes;
      }),
      fc.json().map((body) => withBody(body)),
    );
    const property = fc.property(fc.array(noise, { maxLength: 4 }), fc.nat(3), (parts, fdCount) => {
      const decoder = new ControlDecoder();
      const given = Array.from({ length: fdCount }, (_, i) => 50 + i);
      const taken: number[] = [];
      try {
        decoder.push(new Uint8Array(Buffer.concat(parts)), given);
        for (let next = decoder.next(); next !== undefined; next = decoder.next()) {
          taken.push(...next.descriptors);
        }
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        expect(['protocol_violation', 'protocol_mismatch']).toContain(error.code);
      }
      expect([...taken, ...decoder.takeDescriptors()]).toEqual(given);
    });
    fc.assert(property, { numRuns: 2000 });
  });
});
