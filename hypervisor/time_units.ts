/** Nanoseconds in each unit that a time of the command line can be given in. */
export const NS_OF_UNIT: Readonly<Record<'ns' | 'us' | 'ms' | 's' | 'm', number>> = {
  ns: 1,
  us: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
};

export type TimeUnit = keyof typeof NS_OF_UNIT;
