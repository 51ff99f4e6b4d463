/* The checks that need nothing but CPUs. */
#ifndef CPU_CHECKS_H
#define CPU_CHECKS_H

#include <stdint.h>

/* STORE CPU ID. */
uint64_t cpu_id(void);

/* The clock, its comparator, and SUPERVISOR CALL. */
void check_cpu(void);

/* Starts the second CPU, if there is one, and stops it again. */
void check_second_cpu(void);

#endif
