/** `npm run sim [-- OPTIONS]`: the deterministic simulator in full. */
import { setUp } from './setup.mjs';
import { become } from './tools.mjs';

setUp();
become('dist/test/sim/main.js', process.argv.slice(2));
