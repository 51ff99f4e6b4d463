#include "violations.h"

#include <stddef.h>

#include "buffer.h"
#include "check.h"
#include "copies.h"
#include "fmt.h"
#include "hcall.h"
#include "interruption.h"
#include "irq.h"

#define PAGE		4096UL
/* In the 36 bits of a bus address, and far from all RAM. */
#define FAR		0xf00000000UL
/* How often a device that should be stopped may still copy: the host hears of a violation by an interrupt. */
#define TRIES		1000
/* Nanoseconds of each transaction of the neighbour while the device misbehaves. */
#define SLOW		100000U
#define NEIGHBOUR_BYTES	(8 * PAGE)
#define NO_DEVICE	0xffffffffUL

static struct elo_link stray_chain __attribute__((aligned(32)));

/* One way to misbehave. */
struct violation {
	const char *what;
	uint64_t source, target;
	uint32_t count;
	uint32_t moved;		/* bytes that are in order */
	bool chain;		/* `source` is a link descriptor's */
};

/* Starts it and waits for its end. No interrupt: a stopped device's message is stopped too. */
static uint32_t commit(struct elo *channel, const struct violation *v)
{
	if (v->chain)
		elo_start_chain(channel, v->source, 0);
	else
		elo_start(channel, v->source, v->target, v->count, 0);
	return elo_wait_idle(channel);
}

/* A transfer error, nothing of what lies there in the target, and the register says how far it came. */
static void check_error(const struct violations *with, const struct violation *v)
{
	unsigned n = with->channel->number;
	uint32_t status, left;
	bool clean;
	char name[96];

	format(name, sizeof(name), "dma%u %s: an error, and no stale data", n, v->what);
	buffer_prepare(n, 0x5a);
	status = commit(with->channel, v);
	left = v->chain ? 0 : elo_left(with->channel);
	clean = buffer_untouched(n, v->moved, BUFFER_SIZE);
	for (uint32_t i = 0; i < v->moved; i++)
		clean = clean && buffer_target[n][i] == ((const uint8_t *)v->source)[i];
	check(status == ELO_SR_TE && clean && left == (v->chain ? 0 : v->count - v->moved), name,
	      "status %02x, target %s, %u bytes left", status, clean ? "as it should be" : "changed", left);
}

/* What became of the device: stopped, or as good as before. By polling: the neighbour's interrupt may come at any time. */
static void check_aftermath(const struct violations *with, const char *what)
{
	struct elo *channel = with->channel;
	unsigned n = channel->number, tries = 0;
	uint32_t status;
	bool right;
	char name[96];

	do {
		buffer_prepare(n, 0xa5);
		elo_start(channel, bus_address(buffer_source[n]), bus_address(buffer_target[n]), PAGE, 0);
		status = elo_wait_idle(channel);
	} while (with->isolates && status == 0 && ++tries < TRIES);
	if (with->isolates) {
		format(name, sizeof(name), "dma%u %s: isolated, nothing moves any more", n, what);
		right = status == ELO_SR_TE && buffer_untouched(n, 0, BUFFER_SIZE);
	} else {
		format(name, sizeof(name), "dma%u %s: goes on with what is in order", n, what);
		right = status == 0 && buffer_copied(n, 0, 0, PAGE);
	}
	check(right, name, "status %02x after %u copies", status, tries);
}

static void check_recovery(const struct violations *with, const char *what)
{
	struct elo *channel = with->channel;
	int64_t code = elo_restart(channel);
	bool works = code == H_SUCCESS && copy_works(channel);
	char name[96];

	format(name, sizeof(name), "dma%u %s: restarted, it copies and interrupts", channel->number, what);
	check(works, name, "return code %ld, status %02x", code, elo_status(channel));
}

static void check_one(const struct violations *with, const struct violation *v)
{
	struct elo *neighbour = with->neighbour;
	char name[96];

	/* The neighbour is in the middle of something. */
	if (neighbour) {
		unsigned n = neighbour->number;

		buffer_prepare(n, 0x33);
		elo_set_slow(neighbour, SLOW);
		irq_expect();
		elo_start(neighbour, bus_address(buffer_source[n]), bus_address(buffer_target[n]), NEIGHBOUR_BYTES,
			  ELO_MR_EOSIE);
	}
	check_error(with, v);
	check_aftermath(with, v->what);
	if (neighbour) {
		unsigned n = neighbour->number;
		uint32_t source = irq_wait(PATIENCE);

		elo_set_slow(neighbour, 0);
		format(name, sizeof(name), "dma%u %s: dma%u, under way, ends as if nothing were", with->channel->number,
		       v->what, n);
		check(source == neighbour->source && buffer_copied(n, 0, 0, NEIGHBOUR_BYTES) && copy_works(neighbour),
		      name, "source %x, status %02x", source, elo_status(neighbour));
	}
	check_recovery(with, v->what);
}

void check_violations(const struct violations *with)
{
	uint64_t memory = with->memory;
	unsigned n = with->channel->number;
	uint64_t source = bus_address(buffer_source[n]), target = bus_address(buffer_target[n]);
	const struct violation all[] = {
		{ .what = "reads far from RAM", .source = FAR, .target = target, .count = PAGE },
		{ .what = "writes far from RAM", .source = source, .target = FAR, .count = PAGE },
		{ .what = "writes two pages behind RAM", .source = source, .target = memory + PAGE, .count = PAGE },
		/* Behind a PAMU that is a doorbell, which a device may write. */
		{ .what = "reads the page behind RAM", .source = memory, .target = target, .count = PAGE },
		{ .what = "runs off the end of RAM", .source = memory - PAGE, .target = target, .count = 2 * PAGE,
		  .moved = PAGE },
		{ .what = "looks for a link far from RAM", .source = FAR, .chain = true },
		{ .what = "has a link to far from RAM", .source = bus_address(&stray_chain), .chain = true },
	};
	int64_t code;

	for (uint64_t i = 0; i < PAGE; i++)
		*(volatile uint8_t *)(memory - PAGE + i) = i * 3;
	elo_set_link(&stray_chain, FAR, target, PAGE, ELO_LAST);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		check_one(with, &all[i]);
	code = hcall(FH_DMA_ENABLE, NO_DEVICE, 0, 0, 0).code;
	check(code == H_PARAMETER, "no device that there is not is restarted", "return code %ld", code);
}
