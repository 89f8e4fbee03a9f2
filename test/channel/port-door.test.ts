/** Links between threads of one process can be opened again and again through one port. */
import { once } from 'node:events';
import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { answerDoor, knock } from '../../src/channel/port-door.ts';

it('hands the host one end of a new channel for each knock, and drops what is no port', async () => {
  const { port1: guestDoor, port2: hostDoor } = new MessageChannel();
  const arrived: MessagePort[] = [];
  const enough = new Promise<void>((resolve) => {
    answerDoor(hostDoor, (port) => {
      arrived.push(port);
      if (arrived.length === 2) resolve();
    });
  });
  hostDoor.ref();
  guestDoor.postMessage('nonsense');
  const ports = [knock(guestDoor), knock(guestDoor)];
  await enough;
  for (const [i, port] of ports.entries()) {
    port.postMessage(i);
    const [received] = await once(arrived[i] as MessagePort, 'message');
    expect(received).toBe(i);
    arrived[i]?.postMessage('back');
    await once(port, 'message').then(([answer]) => expect(answer).toBe('back'));
    port.close();
  }
  expect(arrived).toHaveLength(2);
  expect(receiveMessageOnPort(guestDoor)).toBeUndefined();
  guestDoor.close();
});
