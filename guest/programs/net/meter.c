#include "meter.h"

#include "hcall.h"
#include "interruption.h"

void meter_start(struct meter *meter, uint64_t now)
{
	meter->batches = meter->from = 0;
	meter->start = now;
}

void meter_note(struct meter *meter, unsigned done, unsigned frames, uint64_t now)
{
	unsigned through = done - meter->from;

	if (!through || through < frames / METER_BATCHES || meter->batches == METER_BATCHES)
		return;
	meter->batch[meter->batches++] = (struct meter_batch){ through, now - meter->start };
	meter->from = done;
	meter->start = now;
}

uint64_t meter_rate(const struct meter *meter, unsigned size)
{
	uint64_t bytes = 0, units = 0;

	for (unsigned i = meter->batches / 2; i < meter->batches; i++) {
		bytes += (uint64_t)meter->batch[i].frames * size;
		units += meter->batch[i].units;
	}
	return units >= TOD_MICROSECOND ? bytes / (units / TOD_MICROSECOND) : 0;
}

void meter_work(unsigned series, unsigned done)
{
	if (series != NO_SERIES)
		hcall(H_MINIVISOR_MARK, series, 0, done, 0);
}

void meter_mark(const struct meter *meter, unsigned series)
{
	for (unsigned i = 0; i < meter->batches; i++)
		hcall(H_MINIVISOR_MARK, series, meter->batch[i].frames, meter->batch[i].units, 0);
}
