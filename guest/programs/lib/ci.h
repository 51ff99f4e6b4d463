/* Cache-inhibited accesses to a device's registers; *failed keeps the first return code that was not H_SUCCESS. */
#ifndef CI_H
#define CI_H

#include "hcall.h"

static inline uint32_t ci_load(uint64_t address, int64_t *failed)
{
	struct hcall_result result = hcall(H_LOGICAL_CI_LOAD, sizeof(uint32_t), address, 0, 0);

	if (result.code != H_SUCCESS && !*failed)
		*failed = result.code;
	return result.value;
}

static inline void ci_store(uint64_t address, uint32_t word, int64_t *failed)
{
	int64_t code = hcall(H_LOGICAL_CI_STORE, sizeof(uint32_t), address, word, 0).code;

	if (code != H_SUCCESS && !*failed)
		*failed = code;
}

#endif
