/**
 * One slot of a guest's exactly-once window in a WINDOWS page of a checkpoint (R25): the newest
 * operation that was applied under a tag. Pages are filled with entries from the start; a guest of
 * 0 ends them.
 */
import { record, u16, u32, u53 } from '../base/record.ts';

export const WindowEntry = record('WindowEntry', 16, {
  guest: u32(0),
  queue: u16(4),
  tag: u16(6),
  operation: u53(8),
});
