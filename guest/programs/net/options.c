#include "options.h"

#include "cmdline.h"

#define DEFAULT_FRAMES	256

struct net_options options;

void options_read(void)
{
	options.frames = DEFAULT_FRAMES;
	cmdline_number("nic", &options.nic[0]);
	cmdline_number("liobn", &options.liobn[0]);
	cmdline_number("buid", &options.buid[0]);
	cmdline_number("nic2", &options.nic[1]);
	cmdline_number("liobn2", &options.liobn[1]);
	cmdline_number("buid2", &options.buid[1]);
	cmdline_number("frames", &options.frames);
	options.exit_frames = options.frames;
	cmdline_number("exitframes", &options.exit_frames);
	cmdline_number("lbm", &options.loopback);
	cmdline_number("peer", &options.peer);
	cmdline_number("config", &options.config);
	cmdline_number("mem", &options.memory);
}
