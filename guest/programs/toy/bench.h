/* Timing of the TCE hypercalls, tier by tier; the figures go to the machine, not to the console. */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>

/* scale: 0 = nothing; batches grow in proportion. */
void bench(uint64_t liobn, uint64_t scale);

/* The same of each hypercall, of those that take many entries with 512. */
void bench_hcalls(uint64_t liobn, uint64_t scale);

#endif
