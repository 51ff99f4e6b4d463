#include "elo.h"

#include "ci.h"
#include "interruption.h"

#define MR	0x00
#define SR	0x04
#define ECLNDAR	0x08
#define CLNDAR	0x0c
#define SATR	0x10
#define SAR	0x14
#define DATR	0x18
#define DAR	0x1c
#define BCR	0x20
#define SLOW	0x60

/* Transaction type in SATR and DATR: snooped. Address bits 35:32 are in the low bits. */
#define SNOOP	0x50000U
#define EVERY_STATUS	0xffU

static uint32_t load(struct elo *channel, uint32_t offset)
{
	return ci_load(channel->base + offset, &channel->failed);
}

static void store(struct elo *channel, uint32_t offset, uint32_t value)
{
	ci_store(channel->base + offset, value, &channel->failed);
}

static uint32_t attributes(uint64_t address)
{
	return SNOOP | (address >> 32 & 0xf);
}

void elo_set_link(struct elo_link *link, uint64_t source, uint64_t target, uint32_t count, uint64_t next)
{
	*link = (struct elo_link){
		.source_attributes = attributes(source),
		.source_low = source,
		.target_attributes = attributes(target),
		.target_low = target,
		.next_high = next >> 32,
		.next_low = next,
		.count = count,
	};
}

/* CS starts a channel when it goes from zero to one. */
static void stop(struct elo *channel)
{
	store(channel, MR, 0);
	elo_clear_status(channel);
}

void elo_start(struct elo *channel, uint64_t source, uint64_t target, uint32_t count, uint32_t mode)
{
	stop(channel);
	store(channel, SATR, attributes(source));
	store(channel, SAR, source);
	store(channel, DATR, attributes(target));
	store(channel, DAR, target);
	store(channel, BCR, count);
	store(channel, MR, ELO_MR_CS | ELO_MR_CTM | mode);
}

void elo_start_chain(struct elo *channel, uint64_t first, uint32_t mode)
{
	stop(channel);
	store(channel, ECLNDAR, first >> 32);
	store(channel, CLNDAR, first);
	store(channel, MR, ELO_MR_CS | mode);
}

uint32_t elo_status(struct elo *channel)
{
	return load(channel, SR);
}

void elo_clear_status(struct elo *channel)
{
	store(channel, SR, EVERY_STATUS);
}

uint32_t elo_left(struct elo *channel)
{
	return load(channel, BCR);
}

void elo_set_slow(struct elo *channel, uint32_t nanoseconds)
{
	store(channel, SLOW, nanoseconds);
}

uint32_t elo_wait_idle(struct elo *channel)
{
	uint64_t end = store_clock_fast() + PATIENCE * TOD_MICROSECOND;
	uint32_t status;

	do
		status = elo_status(channel);
	while ((status & ELO_SR_CB) && !channel->failed && store_clock_fast() < end);
	return status;
}

int64_t elo_restart(struct elo *channel)
{
	return hcall(FH_DMA_ENABLE, channel->number, 0, 0, 0).code;
}
