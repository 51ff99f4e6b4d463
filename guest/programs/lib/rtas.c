#include "rtas.h"

#include "hcall.h"

#define RTAS_WORDS	16
#define RTAS_NO_CALL	(-1001)

int32_t rtas_call(uint32_t token, unsigned nargs, unsigned nret, const uint32_t *args, uint32_t *outputs)
{
	static uint32_t buffer[3 + RTAS_WORDS];

	if (nargs + nret > RTAS_WORDS)
		return RTAS_NO_CALL;
	buffer[0] = token;
	buffer[1] = nargs;
	buffer[2] = nret;
	for (unsigned i = 0; i < nargs; i++)
		buffer[3 + i] = args[i];
	if (hcall(H_RTAS, (uintptr_t)buffer, 0, 0, 0).code != H_SUCCESS)
		return RTAS_NO_CALL;
	for (unsigned i = 0; i < nret; i++)
		outputs[i] = *(volatile uint32_t *)&buffer[3 + nargs + i];
	return outputs[0];
}
