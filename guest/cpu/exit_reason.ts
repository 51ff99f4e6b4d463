/** Why `run` returned; the index is stored in the state block. */
export const EXIT_REASONS = [
  'budget',
  'attention',
  'retry',
  'wait',
  'disabled_wait',
  'intercept',
  'hypercall',
  'program_loop',
] as const;
export type ExitReason = (typeof EXIT_REASONS)[number];
