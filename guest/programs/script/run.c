/* The operations of a script; see script.h for what each means. */
#include <stddef.h>

#include "cio.h"
#include "lowcore.h"
#include "events.h"
#include "script.h"
#include "sigp.h"

static struct lowcore second_lowcore __attribute__((aligned(sizeof(struct lowcore))));

static int start_second(void)
{
	uint32_t status;
	int cc;

	prepare_lowcore(&second_lowcore);
	cc = sigp(1, SIGP_SET_PREFIX, (uintptr_t)&second_lowcore, &status);
	return cc ? cc : sigp(1, SIGP_RESTART, 0, &status);
}

/* One instruction; its outcome goes into the result. */
static void insn(volatile struct result *result, unsigned number, uint64_t gr1, uint64_t gr2, uint64_t operand,
		 bool problem)
{
	uint64_t outcome = execute(number, gr1, gr2, operand, problem);

	result->cc = outcome & EXECUTE_PROGRAM ? -1 : (int)outcome;
	result->program_code = outcome & EXECUTE_PROGRAM ? outcome & 0xffff : 0;
}

static uint32_t wait(volatile struct result *result, uint32_t mask, uint64_t microseconds)
{
	struct events events = wait_for_events(mask, microseconds);

	result->events |= events.came;
	if (events.came & EVENT_IO) {
		result->subsystem_id = events.subsystem_id;
		result->intparm = events.intparm;
		result->id_word = events.id_word;
		result->count++;
	}
	if (events.came & EVENT_MACHINE_CHECK)
		result->mcic = events.mcic;
	return events.came;
}

/* Whether more status of the same program is to come. */
static bool unfinished(const volatile struct irb *irb)
{
	uint16_t ctrl = irb->scsw.ctrl;

	if (irb->scsw.flags & SCSW_FLAGS_CC)
		return false;
	if (ctrl & (SCSW_STCTL_SECONDARY | SCSW_FCTL_CLEAR))
		return false;
	if (ctrl & SCSW_STCTL_PRIMARY)
		return ctrl & SCSW_ACTL_DEVICE_ACTIVE;
	/* Intermediate status goes on, and so does what is only an attention. */
	return true;
}

static void run(volatile struct result *result, const struct operation *op)
{
	const volatile struct irb *irb = (const volatile struct irb *)op->c;

	insn(result, INSN_SSCH, op->a, 0, op->b, false);
	/* vfio-ccw may tell the end of the program before twice: its interruptions share one IRB. */
	for (int late = 0; result->cc == 1 && late < 4; late++) {
		execute(INSN_TSCH, op->a, 0, op->c, false);
		insn(result, INSN_SSCH, op->a, 0, op->b, false);
	}
	if (result->cc != 0)
		return;
	do {
		if (!(wait(result, EVENT_IO, op->arg) & EVENT_IO))
			return;
		execute(INSN_TSCH, op->a, 0, op->c, false);
	} while (unfinished(irb));
}

#define DRAIN_MICROSECONDS	1000000UL

/* Whatever the device is doing, afterwards it does nothing and has told everything. */
static void drain(volatile struct result *result, const struct operation *op)
{
	const volatile struct irb *irb = (const volatile struct irb *)op->c;

	insn(result, INSN_CSCH, op->a, 0, 0, false);
	if (result->cc != 0)
		return;
	do {
		if (!(wait(result, EVENT_IO, DRAIN_MICROSECONDS) & EVENT_IO))
			return;
		execute(INSN_TSCH, op->a, 0, op->c, false);
	} while (!(irb->scsw.ctrl & SCSW_FCTL_CLEAR));
}

static void spin(uint64_t microseconds)
{
	uint64_t end = store_clock_fast() + microseconds * TOD_MICROSECOND;

	while (store_clock_fast() < end)
		;
}

static void await(volatile struct result *result, const struct operation *op)
{
	uint64_t end = store_clock_fast() + op->c * TOD_MICROSECOND;

	while (*(const volatile uint32_t *)op->a != (uint32_t)op->b)
		if (store_clock_fast() >= end) {
			result->events |= EVENT_TIMEOUT;
			return;
		}
}

static void flip(const struct operation *op)
{
	volatile uint64_t *word = (volatile uint64_t *)op->a;

	for (uint32_t i = 0; i < op->arg; i++) {
		*word = op->b;
		*word = op->c;
	}
}

static void copy(const struct operation *op)
{
	volatile uint8_t *to = (volatile uint8_t *)op->a;
	const volatile uint8_t *from = (const volatile uint8_t *)op->b;

	for (uint32_t i = 0; i < op->arg; i++)
		to[i] = from[i];
}

static void perform(volatile struct result *result, const struct operation *op)
{
	switch (op->code) {
	case OP_INSN:
	case OP_INSN_PROBLEM:
		insn(result, op->arg, op->a, op->c, op->b, op->code == OP_INSN_PROBLEM);
		break;
	case OP_WAIT:
		wait(result, op->arg, op->a);
		break;
	case OP_SPIN:
		spin(op->a);
		break;
	case OP_STORE:
		*(volatile uint64_t *)op->a = op->b;
		break;
	case OP_ISC_MASK:
		asm volatile("lctlg %%c6,%%c6,%0" : : "Q"(op->a) : "memory");
		break;
	case OP_START_SECOND:
		result->cc = start_second();
		break;
	case OP_AWAIT:
		await(result, op);
		break;
	case OP_FLIP:
		flip(op);
		break;
	case OP_COPY:
		copy(op);
		break;
	case OP_RUN:
		run(result, op);
		break;
	case OP_DRAIN:
		drain(result, op);
		break;
	}
}

void run_script(unsigned cpu)
{
	const volatile struct header *header = &script_header;
	const struct operation *op = (const struct operation *)header->script[cpu];
	volatile struct result *result = (volatile struct result *)header->log[cpu];

	for (; op->code != OP_END; op++, result++) {
		result->began = store_clock_fast();
		perform(result, op);
		result->ended = store_clock_fast();
		result->code = op->code;
	}
}
