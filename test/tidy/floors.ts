/**
 * Who may import whom. A folder may import itself and the folders listed; nothing else of ours.
 * To add an arrow, change this table in its own commit and say why.
 */
const GROUND = ['src/base', 'src/bindings', 'src/platform'];
const CHANNEL = [...GROUND, 'src/memory', 'src/channel'];
const LOG = [...GROUND, 'src/formats', 'src/log'];
const STORE = [...LOG, 'src/maps', 'src/volumes', 'src/filesystem', 'src/cluster', 'src/archive'];

export const FLOORS: Readonly<Record<string, readonly string[]>> = {
  'src/base': [],
  'src/bindings': ['src/base'],
  'src/platform': ['src/base', 'src/bindings'],
  // The channel tower: what a guest needs, and nothing of the store.
  'src/memory': GROUND,
  'src/channel': [...GROUND, 'src/memory'],
  guest: CHANNEL,
  // The storage tower: nothing of the channel.
  'src/formats': ['src/base'],
  'src/log': [...GROUND, 'src/formats'],
  'src/maps': LOG,
  'src/volumes': [...LOG, 'src/maps'],
  'src/filesystem': [...GROUND, 'src/formats', 'src/volumes'],
  'src/cluster': LOG,
  'src/archive': [...LOG, 'src/maps'],
  // Where the towers meet.
  'src/qos': GROUND,
  'src/store': [...STORE, 'src/qos'],
  host: [...CHANNEL, 'src/qos', 'src/volumes', 'src/filesystem', 'src/store'],
  'host/fronts': [...CHANNEL, 'guest'],
  'src/cli': [...STORE, 'src/channel', 'src/store', 'host/fronts', 'host', 'guest'],
};

/** Files that are started rather than imported. All else must be reachable from somewhere. */
export const ENTRY_POINTS: readonly string[] = [
  'guest/index.ts',
  'host/index.ts',
  'src/cli/main.ts',
  'src/cli/demo.ts',
];
