#include "copies.h"

#include "buffer.h"
#include "check.h"
#include "fmt.h"
#include "interruption.h"
#include "irq.h"
#include "platform.h"

#define PAGE	4096U
#define LINKS	5

static struct elo_link links[BUFFERS][LINKS] __attribute__((aligned(32)));

static const struct {
	const char *what;
	uint32_t from, to, count;
} directs[] = {
	{ "a byte", 5, 9, 1 },
	{ "a page", 0, 0, PAGE },
	{ "unaligned, over several pages", 0xffd, 0x2801, 0x3333 },
	{ "64 KiB", 0, 0, BUFFER_SIZE },
};

static uint8_t next_seed(void)
{
	static uint8_t seed;

	return seed += 29;
}

static void check_direct(struct elo *channel, unsigned index)
{
	unsigned n = channel->number;
	uint32_t from = directs[index].from, to = directs[index].to, count = directs[index].count;
	uint32_t source, status;
	char name[80];

	format(name, sizeof(name), "dma%u copies %s and interrupts", n, directs[index].what);
	buffer_prepare(n, next_seed());
	irq_expect();
	elo_start(channel, bus_address(&buffer_source[n][from]), bus_address(&buffer_target[n][to]), count, ELO_MR_EOSIE);
	source = irq_wait(PATIENCE);
	status = elo_status(channel);
	check(source == channel->source && status == ELO_SR_EOSI && buffer_copied(n, from, to, count), name,
	      "source %x, status %02x, bytes %s, register access %ld", source, status,
	      buffer_copied(n, from, to, count) ? "right" : "wrong", channel->failed);
}

/* Links to pieces of the source, spread over the target in the other order. */
static void build_chain(unsigned n)
{
	for (unsigned i = 0; i < LINKS; i++) {
		const uint8_t *from = &buffer_source[n][i * 0x1234];
		const uint8_t *to = &buffer_target[n][(LINKS - 1 - i) * 0x2345];
		uint64_t next = i == LINKS - 1 ? ELO_LAST : bus_address(&links[n][i + 1]);

		elo_set_link(&links[n][i], bus_address(from), bus_address(to), 0x1234, next);
	}
}

static bool chain_copied(unsigned n)
{
	bool right = true;

	for (unsigned i = 0; i < LINKS && right; i++) {
		uint32_t from = i * 0x1234, to = (LINKS - 1 - i) * 0x2345;

		for (uint32_t k = 0; k < 0x1234; k++)
			right = right && buffer_target[n][to + k] == buffer_source[n][from + k];
		right = right && buffer_untouched(n, to + 0x1234, to + 0x2345);
	}
	return right;
}

static void check_chain(struct elo *channel)
{
	unsigned n = channel->number;
	uint32_t source, status;
	char name[80];

	format(name, sizeof(name), "dma%u performs a chain of %d links with one interrupt", n, LINKS);
	buffer_prepare(n, next_seed());
	build_chain(n);
	irq_expect();
	elo_start_chain(channel, bus_address(links[n]), ELO_MR_EOLNIE);
	source = irq_wait(PATIENCE);
	status = elo_status(channel);
	check(source == channel->source && status == ELO_SR_EOLNI && chain_copied(n), name,
	      "source %x, status %02x, bytes %s", source, status, chain_copied(n) ? "right" : "wrong");
}

void check_copies(struct elo *channel)
{
	for (unsigned i = 0; i < sizeof(directs) / sizeof(directs[0]); i++)
		check_direct(channel, i);
	check_chain(channel);
}

void check_together(unsigned count)
{
	unsigned missing = count;
	bool right = true;

	for (unsigned n = 0; n < count; n++) {
		buffer_prepare(n, next_seed());
		build_chain(n);
	}
	irq_expect();
	for (unsigned n = 0; n < count; n++)
		elo_start_chain(&channels[n], bus_address(links[n]), ELO_MR_EOLNIE);
	while (missing && irq_wait(PATIENCE) != IRQ_NONE)
		missing--;
	for (unsigned n = 0; n < count; n++)
		right = right && elo_status(&channels[n]) == ELO_SR_EOLNI && chain_copied(n);
	check(missing == 0 && right, "all channels at once", "%u interrupts did not come, bytes %s", missing,
	      right ? "right" : "wrong");
}

bool copy_works(struct elo *channel)
{
	unsigned n = channel->number;

	buffer_prepare(n, next_seed());
	irq_expect();
	elo_start(channel, bus_address(buffer_source[n]), bus_address(buffer_target[n]), PAGE, ELO_MR_EOSIE);
	return irq_wait(PATIENCE) == channel->source && elo_status(channel) == ELO_SR_EOSI && buffer_copied(n, 0, 0, PAGE);
}
