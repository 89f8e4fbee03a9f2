/** `npm run soak [-- OPTIONS]`: the heavy rounds of kills and attaches in full. */
import { setUp } from './setup.mjs';
import { become } from './tools.mjs';

setUp();
become('dist/test/soak/main.js', process.argv.slice(2));
