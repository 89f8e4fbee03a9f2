/** One contract over all kernels: the addon's, their JavaScript twin, the simulator's around it. */
import { describe } from 'vitest';
import { NodeKernels } from '../../src/platform/node-kernels.ts';
import { PortableKernels } from '../../src/platform/portable-kernels.ts';
import { SimMachine } from '../sim/sim-machine.ts';
import { describeCopyContract } from './copy-contract.ts';

describe('kernels of the addon', () => {
  describeCopyContract(() => new NodeKernels());
});

describe('portable kernels', () => {
  describeCopyContract(() => new PortableKernels());
});

describe('simulated kernels', () => {
  describeCopyContract(() => new SimMachine({ seed: 1 }).startProcess().kernels);
});
