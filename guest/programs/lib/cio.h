/*
 * Channel I/O: control blocks and instructions.
 * z/Architecture Principles of Operation (SA22-7832), chapters 13 to 16. All fields are big-endian, as this CPU is.
 */
#ifndef CIO_H
#define CIO_H

#include <stdbool.h>
#include <stdint.h>

/* Format-1 channel-command word. */
struct ccw1 {
	uint8_t cmd_code;
	uint8_t flags;
	uint16_t count;
	uint32_t cda;
} __attribute__((packed, aligned(8)));

#define CCW_FLAG_CC	0x40	/* command chaining */
#define CCW_FLAG_SLI	0x20	/* suppress length indication */
#define CCW_FLAG_IDA	0x04	/* cda designates an indirect-data-address list */

/* Operation-request block, command mode. */
struct orb {
	uint32_t intparm;
	uint16_t ctrl0;
	uint8_t lpm;
	uint8_t ctrl1;
	uint32_t cpa;
} __attribute__((packed, aligned(4)));

#define ORB_CTRL0_FMT	0x0080	/* format-1 CCWs */
#define ORB_CTRL0_PFCH	0x0040	/* prefetch allowed */
#define ORB_CTRL0_C64	0x0002	/* format-2 IDAWs, of 4 KiB blocks as the 2K control is off */

/* Path-management-control word. */
struct pmcw {
	uint32_t intparm;
	uint16_t flags;
	uint16_t devno;
	uint8_t lpm, pnom, lpum, pim;
	uint16_t mbi;
	uint8_t pom, pam;
	uint8_t chpid[8];
	uint32_t chars;
} __attribute__((packed, aligned(4)));

#define PMCW_FLAGS_ISC_MASK	0x3800
#define PMCW_FLAGS_ISC_SHIFT	11
#define PMCW_FLAGS_ENA		0x0080	/* enabled */
#define PMCW_FLAGS_DNV		0x0001	/* device number valid */
#define PMCW_CHARS_CSENSE	0x00000001	/* concurrent sense */
#define PMCW_CHARS_ST_MASK	0x00e00000	/* subchannel type, 0 = I/O */

/* Subchannel-status word. */
struct scsw {
	uint16_t flags;
	uint16_t ctrl;
	uint32_t cpa;
	uint8_t dstat;
	uint8_t cstat;
	uint16_t count;
} __attribute__((packed, aligned(4)));

#define SCSW_FLAGS_CC		0x0300	/* deferred condition code */
#define SCSW_FCTL_START		0x4000
#define SCSW_FCTL_HALT		0x2000
#define SCSW_FCTL_CLEAR		0x1000
#define SCSW_ACTL_DEVICE_ACTIVE	0x0040
#define SCSW_STCTL_MASK		0x001f
#define SCSW_STCTL_ALERT	0x0010
#define SCSW_STCTL_INTERMEDIATE	0x0008
#define SCSW_STCTL_PRIMARY	0x0004
#define SCSW_STCTL_SECONDARY	0x0002
#define SCSW_STCTL_PENDING	0x0001

#define SCSW_DSTAT_CHANNEL_END	0x08
#define SCSW_DSTAT_DEVICE_END	0x04
#define SCSW_DSTAT_UNIT_CHECK	0x02

/* Subchannel-information block. */
struct schib {
	struct pmcw pmcw;
	struct scsw scsw;
	uint8_t mba[8];
	uint8_t model_dependent[4];
} __attribute__((packed, aligned(4)));

/* Interruption-response block: SCSW, extended status, extended control. */
struct irb {
	struct scsw scsw;
	uint32_t esw[5];	/* word 1 is the extended-report word */
	uint8_t ecw[32];
} __attribute__((packed, aligned(4)));

#define ERW_CONCURRENT_SENSE	0x01000000

_Static_assert(sizeof(struct ccw1) == 8, "CCW");
_Static_assert(sizeof(struct orb) == 12, "ORB");
_Static_assert(sizeof(struct pmcw) == 28, "PMCW");
_Static_assert(sizeof(struct scsw) == 12, "SCSW");
_Static_assert(sizeof(struct schib) == 52, "SCHIB");
_Static_assert(sizeof(struct irb) == 64, "IRB");

/* Subsystem-identification word of subchannel 0 in subchannel set 0: bit 15 must be one. */
#define SUBSYSTEM_ID_ONE	0x00010000U

/* Interruption subclass of every subchannel the program enables: Linux's IO_SCH_ISC. */
#define IO_SCH_ISC		3

/* Address as a 31-bit channel-program address; everything the program owns lies below 2 GiB. */
static inline uint32_t channel_address(const volatile void *address)
{
	return (uint32_t)(uintptr_t)address;
}

/*
 * The instructions, named by their mnemonics; the result is the condition code. GR1 holds the subsystem id.
 */
#define CIO_INSTRUCTION(text, id, ...)					\
	({								\
		register uint64_t gr1 asm("1") = (id);			\
		int cc_;						\
		asm volatile(text "\n"					\
			     "ipm	%[cc]\n"			\
			     "srl	%[cc],28"			\
			     : [cc] "=&d"(cc_)				\
			     : "d"(gr1), ##__VA_ARGS__			\
			     : "memory", "cc");				\
		cc_;							\
	})

static inline int stsch(uint32_t id, struct schib *schib)
{
	return CIO_INSTRUCTION("stsch	0(%[block])", id, [block] "a"(schib));
}

static inline int msch(uint32_t id, const struct schib *schib)
{
	return CIO_INSTRUCTION("msch	0(%[block])", id, [block] "a"(schib));
}

static inline int ssch(uint32_t id, const struct orb *orb)
{
	return CIO_INSTRUCTION("ssch	0(%[block])", id, [block] "a"(orb));
}

static inline int tsch(uint32_t id, struct irb *irb)
{
	return CIO_INSTRUCTION("tsch	0(%[block])", id, [block] "a"(irb));
}

static inline int hsch(uint32_t id)
{
	return CIO_INSTRUCTION("hsch", id);
}

static inline int csch(uint32_t id)
{
	return CIO_INSTRUCTION("csch", id);
}

#endif
