/**
 * How a thread of the host's process opens links again and again. The port that a host gives out is
 * a door, not a link: through it a guest hands in one end of a fresh channel per link, so a link
 * that has ended can be followed by another, as with a socket's path.
 */
import { MessageChannel, MessagePort } from 'node:worker_threads';

/**
 * The guest's side: a new port to make a link of, whose other end the host finds at its door.
 * Several threads' worth of links may go through one door. Never fails: behind a door that is
 * closed nobody answers.
 */
export function knock(door: MessagePort): MessagePort {
  const { port1, port2 } = new MessageChannel();
  door.postMessage(port2, [port2]);
  return port1;
}

/**
 * The host's side: calls back with a port for each knock, until the door is closed. What is no
 * port is dropped. The door does not keep the process alive.
 */
export function answerDoor(door: MessagePort, onPort: (port: MessagePort) => void): void {
  door.on('message', (value: unknown) => {
    if (value instanceof MessagePort) onPort(value);
  });
  door.unref();
}
