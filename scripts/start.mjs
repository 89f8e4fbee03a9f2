/** `npm start [-- PATH]`: the demonstration on real input, from a fresh checkout if need be. */
import { setUp } from './setup.mjs';
import { become } from './tools.mjs';

setUp();
become('dist/src/cli/demo.js', process.argv.slice(2));
