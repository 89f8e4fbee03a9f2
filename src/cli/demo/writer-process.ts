/** A guest in a process of its own: streams a file into a volume, by promises. */
import { connect } from '../../../guest/index.ts';
import { everyFew, type GuestMessage, type GuestTask } from './messages.ts';
import { storeFile } from './transfer.ts';

const send = (message: GuestMessage) => process.send?.(message);

process.once('message', (task: GuestTask) => {
  store(task).then(
    (result) => {
      send({ kind: 'done', result });
      process.disconnect();
    },
    (error: Error) => {
      send({ kind: 'failed', message: error.message });
      process.exit(1);
    },
  );
});

async function store({ host, volume, path, byteLength }: GuestTask) {
  const driver = await connect({ host, volume });
  const progress = everyFew(byteLength, (doneBytes) => send({ kind: 'progress', doneBytes }));
  const result = await storeFile(driver, path, progress);
  await driver.close();
  return result;
}
