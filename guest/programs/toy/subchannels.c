#include "subchannels.h"

#include "check.h"
#include "fmt.h"
#include "mem.h"

#define MAX_DEVICES	MAX_DASDS
#define CCW_CMD_SENSE_ID	0xe4	/* Common I/O Device Commands, SA22-7204 */
#define CU_TYPE_VIRTIO		0x3832	/* QEMU's virtio-ccw devices; not a disk to us */
#define CU_TYPE_3990		0x3990
#define CU_TYPE_ECHO		0xfffe	/* minivisor's control unit for testing channel programs */
#define DEV_TYPE_3390		0x3390

struct sense_id {
	uint8_t reserved;	/* X'FF' */
	uint16_t cu_type;
	uint8_t cu_model;
	uint16_t dev_type;
	uint8_t dev_model;
	uint8_t rest[249];
} __attribute__((packed));

_Static_assert(sizeof(struct sense_id) == 256, "Sense ID");

static struct subchannel devices[MAX_DEVICES];
static struct subchannel *dasds[MAX_DASDS];
static unsigned dasd_count;
static struct sense_id sense_id;

/* MSCH with the enabled bit, ISC 3 and a parameter; checks that STSCH then shows them. */
static bool enable(struct subchannel *subchannel, struct schib *schib)
{
	uint16_t flags = PMCW_FLAGS_ENA | IO_SCH_ISC << PMCW_FLAGS_ISC_SHIFT;
	struct schib now;
	int cc;

	schib->pmcw.intparm = subchannel->id;
	schib->pmcw.flags = (schib->pmcw.flags & ~PMCW_FLAGS_ISC_MASK) | flags;
	/* As Linux does: the host may take sense data with the interruption, and only this bit brings it here. */
	schib->pmcw.chars |= PMCW_CHARS_CSENSE;
	cc = msch(subchannel->id, schib);
	if (!check(cc == 0, "MSCH enables the subchannel", "expected cc 0, got %d", cc))
		return false;
	cc = stsch(subchannel->id, &now);
	return check(cc == 0 && now.pmcw.intparm == subchannel->id &&
		     (now.pmcw.flags & (PMCW_FLAGS_ENA | PMCW_FLAGS_ISC_MASK | PMCW_FLAGS_DNV)) == (flags | PMCW_FLAGS_DNV),
		     "STSCH shows it enabled", "expected cc 0, parameter %08x, flags %04x; got cc %d, %08x, %04x",
		     subchannel->id, flags | PMCW_FLAGS_DNV, cc, now.pmcw.intparm, now.pmcw.flags);
}

static bool read_sense_id(struct subchannel *subchannel)
{
	static struct ccw1 program;
	struct io io;

	memset(&sense_id, 0xee, sizeof(sense_id));
	program = (struct ccw1){ CCW_CMD_SENSE_ID, CCW_FLAG_SLI, sizeof(sense_id), channel_address(&sense_id) };
	io = io_run(subchannel, &program, 0);
	if (!check(io_normal(&io), "SENSE ID ends normally", "expected device status 0c, got %s", io_describe(&io)))
		return false;
	print("control unit %04x model %02x, device %04x model %02x\n", sense_id.cu_type, sense_id.cu_model,
	      sense_id.dev_type, sense_id.dev_model);
	return true;
}

static bool is_3390(void)
{
	return sense_id.reserved == 0xff && sense_id.cu_type == CU_TYPE_3990 && sense_id.dev_type == DEV_TYPE_3390;
}

struct subchannel *find_dasd(void)
{
	unsigned count = 0;
	struct schib schib;

	for (uint32_t number = 0; number <= 0xffff; number++) {
		struct subchannel *subchannel = &devices[count];

		if (stsch(SUBSYSTEM_ID_ONE | number, &schib) == 3)
			break;
		if (!(schib.pmcw.flags & PMCW_FLAGS_DNV) || (schib.pmcw.chars & PMCW_CHARS_ST_MASK))
			continue;
		print("subchannel 0.0.%04x device 0.0.%04x\n", number, schib.pmcw.devno);
		if (count == MAX_DEVICES)
			continue;
		count++;
		*subchannel = (struct subchannel){
			.id = SUBSYSTEM_ID_ONE | number,
			.intparm = SUBSYSTEM_ID_ONE | number,
			.devno = schib.pmcw.devno,
			.lpm = schib.pmcw.lpm,
		};
		if (!enable(subchannel, &schib) || !read_sense_id(subchannel))
			continue;
		if (sense_id.cu_type == CU_TYPE_VIRTIO || sense_id.cu_type == CU_TYPE_ECHO)
			continue;
		/* Only the first one has to be a 3390. */
		if (dasd_count > 0 ? is_3390() :
				     check(is_3390(), "SENSE ID names a 3390 behind a 3990",
					   "expected ff 3990 3390, got %02x %04x %04x", sense_id.reserved,
					   sense_id.cu_type, sense_id.dev_type))
			dasds[dasd_count++] = subchannel;
	}
	if (count == 0)
		skip("dasd", "no subchannel");
	else if (dasd_count == 0)
		skip("dasd", "no 3390 behind the subchannels");
	return dasds[0];
}

unsigned all_dasds(struct subchannel *list[MAX_DASDS])
{
	for (unsigned i = 0; i < dasd_count; i++)
		list[i] = dasds[i];
	return dasd_count;
}
