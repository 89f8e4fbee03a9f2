/** What making room in the log comes to; `log.ts` gives the answers their public names. */
export const Room = { ready: 0, busy: -1, full: -2, failed: -3 } as const;
