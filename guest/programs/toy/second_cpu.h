/* The second CPU, and what it runs. */
#ifndef SECOND_CPU_H
#define SECOND_CPU_H

#include <stdbool.h>
#include <stdint.h>

/* Whether there is one, and it is stopped: a check that fails when it is there and runs. `name` is for the SKIP line. */
bool second_cpu_stopped(const char *name);

/* Its address, once second_cpu_stopped() has found it. */
uint16_t second_cpu_address(void);

/* Address of the first CPU, for the second one's signals. */
uint16_t first_cpu_address(void);

/* Starts it with `program`, which does not return: it runs until second_cpu_stop(). */
bool second_cpu_start(void (*program)(void));

void second_cpu_stop(void);

#endif
