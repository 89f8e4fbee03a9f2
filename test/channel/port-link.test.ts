/** Links over MessagePorts: the same messages with SharedArrayBuffers, and wrong envelopes. */
import { MessageChannel } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import type { StoreError } from '../../src/base/errors.ts';
import type { ControlMessage } from '../../src/channel/control-schema.ts';
import type { LinkHandle } from '../../src/channel/link.ts';
import { PortLink } from '../../src/channel/port-link.ts';
import { ATTACH, MESSAGES } from './messages.ts';

const SELF = { pid: 1, uid: 2, gid: 3 };

function makePorts() {
  const { port1, port2 } = new MessageChannel();
  const link = new PortLink(port1, SELF);
  const messages: ControlMessage[] = [];
  const handles: LinkHandle[] = [];
  const closed = new Promise<StoreError | undefined>((resolve) => {
    link.open({
      onMessage: (message, came) => {
        messages.push(message);
        handles.push(...came);
      },
      onClose: resolve,
    });
  });
  return { peer: port2, link, messages, handles, closed };
}

describe('port link', () => {
  it('carries every message in order, with its buffers', async () => {
    const { peer, messages, handles, closed } = makePorts();
    const sender = new PortLink(peer, SELF);
    const buffers = [new SharedArrayBuffer(8), new SharedArrayBuffer(16)];
    for (const message of MESSAGES) {
      const count = message.type === 'attach' ? 2 : Number(message.type === 'attached');
      sender.send(message, buffers.slice(0, count));
    }
    sender.close();
    expect(await closed).toBeUndefined();
    expect(messages).toEqual(MESSAGES);
    expect(handles.map((handle) => (handle as SharedArrayBuffer).byteLength)).toEqual([8, 16, 8]);
  });

  it.each([
    ['nothing', undefined],
    ['no envelope', 7],
    ['a message of no type', { message: {}, buffers: [] }],
    ['too few buffers', { message: ATTACH, buffers: [new SharedArrayBuffer(8)] }],
    ['buffers that are not shared', { message: ATTACH, buffers: [new ArrayBuffer(8), 7] }],
    [
      'buffers that nobody asked for',
      { message: { type: 'detach' }, buffers: [new SharedArrayBuffer(8)] },
    ],
  ])('ends over %s', async (_, envelope) => {
    const { peer, closed, messages } = makePorts();
    peer.postMessage(envelope);
    expect((await closed)?.code).toBe('protocol_violation');
    expect(messages).toEqual([]);
  });

  it('notices a peer that goes away', async () => {
    const { peer, closed } = makePorts();
    peer.close();
    expect(await closed).toBeUndefined();
  });
});
