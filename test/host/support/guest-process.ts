/** A guest process that attaches, keeps commands in flight, and waits to be killed. */
import { Opcode } from '../../../src/channel/protocol.ts';
import { RawGuest } from './raw-guest.ts';

const [, , socket = '', volume = ''] = process.argv;
const guest = await RawGuest.attach(socket, { message: { volume, mode: 'shared' } });
process.send?.('attached');
for (let i = 0; ; i++) {
  await guest.run(Opcode.WRITE, (i % 64) * 8, 64);
  await guest.run(Opcode.READ, (i % 64) * 8, 64);
}
