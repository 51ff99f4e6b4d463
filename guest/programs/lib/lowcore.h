/* The prefix area: z/Architecture Principles of Operation (SA22-7832), chapter 3, "Assigned Storage Locations". */
#ifndef LOWCORE_H
#define LOWCORE_H

#include <stddef.h>
#include <stdint.h>

struct psw {
	uint64_t mask;
	uint64_t address;
};

#define PSW_MASK_IO		0x0200000000000000UL	/* bit 6 */
#define PSW_MASK_EXTERNAL	0x0100000000000000UL	/* bit 7 */
#define PSW_MASK_WAIT		0x0002000000000000UL	/* bit 14 */
#define PSW_MASK_64BIT		0x0000000180000000UL	/* bits 31 and 32, EA and BA */

struct lowcore {
	uint8_t ipl_area[0x80];
	uint32_t external_parameter;		/* 080: with 2401 the SCCB address */
	uint16_t external_cpu_address;		/* 084 */
	uint16_t external_code;			/* 086 */
	uint16_t svc_ilc;			/* 088 */
	uint16_t svc_code;			/* 08a */
	uint16_t program_ilc;			/* 08c */
	uint16_t program_code;			/* 08e */
	uint8_t pad_090[0xb8 - 0x90];
	uint32_t subsystem_id;			/* 0b8 */
	uint32_t io_intparm;			/* 0bc */
	uint32_t io_id_word;			/* 0c0: bit 0 adapter, bits 2-4 ISC */
	uint8_t pad_0c4[0x120 - 0xc4];
	struct psw restart_old_psw;		/* 120 */
	struct psw external_old_psw;
	struct psw svc_old_psw;
	struct psw program_old_psw;
	struct psw machine_check_old_psw;
	struct psw io_old_psw;			/* 170 */
	uint8_t pad_180[0x1a0 - 0x180];
	struct psw restart_new_psw;		/* 1a0 */
	struct psw external_new_psw;
	struct psw svc_new_psw;
	struct psw program_new_psw;
	struct psw machine_check_new_psw;
	struct psw io_new_psw;			/* 1f0 */
	uint8_t pad_200[0x2000 - 0x200];
};

_Static_assert(offsetof(struct lowcore, external_parameter) == 0x80, "external parameter");
_Static_assert(offsetof(struct lowcore, program_code) == 0x8e, "program interruption code");
_Static_assert(offsetof(struct lowcore, subsystem_id) == 0xb8, "subsystem id word");
_Static_assert(offsetof(struct lowcore, restart_old_psw) == 0x120, "old PSWs");
_Static_assert(offsetof(struct lowcore, restart_new_psw) == 0x1a0, "new PSWs");
_Static_assert(sizeof(struct lowcore) == 0x2000, "8 KiB");

/* Placed at real address 0 by link.ld; prefixing gives each CPU its own. */
extern volatile struct lowcore lowcore;

/* Waits, enabled as the PSW bits say, until an interruption whose handler takes PSW_MASK_WAIT off. */
static inline void load_wait(uint64_t enabled)
{
	struct psw psw = { PSW_MASK_64BIT | PSW_MASK_WAIT | enabled, 0 };
	uint64_t address;

	asm volatile("larl	%[address],0f\n"
		     "stg	%[address],8(%[psw])\n"
		     "lpswe	0(%[psw])\n"
		     "0:"
		     : [address] "=&d"(address)
		     : [psw] "a"(&psw)
		     : "memory", "cc");
}

#endif
