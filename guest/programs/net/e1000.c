#include "e1000.h"

#include "ci.h"
#include "interruption.h"

#define CTRL		0x0000
#define CTRL_FD		1U
#define CTRL_SLU	0x40U
#define CTRL_RST	0x4000000U
#define IMC		0x00d8
#define RCTL		0x0100
#define RCTL_EN		0x2U
#define RCTL_UPE	0x8U		/* unicast promiscuous */
#define RCTL_LPE	0x20U		/* long packets */
#define RCTL_LBM_MAC	0x40U
#define RCTL_BAM	0x8000U		/* broadcasts */
#define RCTL_BSEX	0x2000000U	/* buffer sizes times 16 */
#define RCTL_BSIZE_2K	0U
#define RCTL_BSIZE_16K	(0x10000U | RCTL_BSEX)
#define RCTL_SECRC	0x4000000U	/* strip the checksum */
#define TCTL		0x0400
#define TCTL_EN		0x2U
#define TCTL_PSP	0x8U		/* pad short packets */
#define RDBAL		0x2800
#define RDBAH		0x2804
#define RDLEN		0x2808
#define RDH		0x2810
#define RDT		0x2818
#define TDBAL		0x3800
#define TDBAH		0x3804
#define TDLEN		0x3808
#define TDH		0x3810
#define TDT		0x3818
#define RAL0		0x5400
#define RAH0		0x5404

/* Second quadword of a transmit descriptor: length 0-15, CMD 24-31, STA 32-35. */
#define TXD_EOP		(0x01UL << 24)
#define TXD_IFCS	(0x02UL << 24)
#define TXD_RS		(0x08UL << 24)
#define TXD_DD		(1UL << 32)
/* Of a receive descriptor: length 0-15, status 32-39, errors 40-47. */
#define RXD_DD		(1UL << 32)

uint32_t e1000_load(struct e1000 *nic, uint32_t offset)
{
	return __builtin_bswap32(ci_load(nic->base + offset, &nic->failed));
}

static void store(struct e1000 *nic, uint32_t offset, uint32_t value)
{
	ci_store(nic->base + offset, __builtin_bswap32(value), &nic->failed);
}

uint64_t e1000_mac(struct e1000 *nic)
{
	return (uint64_t)__builtin_bswap32(e1000_load(nic, RAL0)) << 16 | __builtin_bswap16(e1000_load(nic, RAH0));
}

static uint64_t fields_of(const struct e1000_desc *desc)
{
	return __builtin_bswap64(*(const volatile uint64_t *)&desc->fields);
}

/* A link comes up by itself some time after CTRL.SLU: looked for after 1 ms, 2 ms more, 4 ms more, some 4 s in all. */
#define LINK_FIRST_PAUSE	1000UL
#define LINK_LAST_PAUSE		2048000UL

static bool wait_for_link(struct e1000 *nic)
{
	static const volatile bool never;

	for (uint64_t pause = LINK_FIRST_PAUSE; !nic->failed; pause *= 2) {
		uint32_t status = e1000_load(nic, E1000_STATUS);

		if (status == E1000_NOBODY)
			return false;
		if (status & E1000_STATUS_LU)
			return !nic->failed;
		if (pause > LINK_LAST_PAUSE)
			return false;
		wait_for(&never, pause);
	}
	return false;
}

bool e1000_open(struct e1000 *nic, uint64_t tx_bus, uint64_t rx_bus, bool loopback, unsigned buffer_size)
{
	nic->failed = 0;
	nic->tx_head = nic->tx_tail = nic->rx_head = nic->rx_tail = 0;
	store(nic, CTRL, CTRL_RST);
	store(nic, IMC, ~0U);
	store(nic, CTRL, CTRL_FD | CTRL_SLU);
	if (!wait_for_link(nic))
		return false;
	store(nic, TDBAL, tx_bus);
	store(nic, TDBAH, tx_bus >> 32);
	store(nic, TDLEN, E1000_RING * sizeof(struct e1000_desc));
	store(nic, TDH, 0);
	store(nic, TDT, 0);
	store(nic, RDBAL, rx_bus);
	store(nic, RDBAH, rx_bus >> 32);
	store(nic, RDLEN, E1000_RING * sizeof(struct e1000_desc));
	store(nic, RDH, 0);
	store(nic, RDT, 0);
	store(nic, TCTL, TCTL_EN | TCTL_PSP);
	store(nic, RCTL,
	      RCTL_EN | RCTL_UPE | RCTL_BAM | RCTL_LPE | RCTL_SECRC | (loopback ? RCTL_LBM_MAC : 0) |
		      (buffer_size > 2048 ? RCTL_BSIZE_16K : RCTL_BSIZE_2K));
	return !nic->failed;
}

void e1000_close(struct e1000 *nic)
{
	store(nic, RCTL, 0);
	store(nic, TCTL, 0);
	store(nic, CTRL, CTRL_RST);
}

unsigned e1000_queue_tx(struct e1000 *nic, uint64_t bus, unsigned length)
{
	unsigned index = nic->tx_tail;
	struct e1000_desc *desc = &nic->tx[index];

	desc->address = __builtin_bswap64(bus);
	desc->fields = __builtin_bswap64(length | TXD_EOP | TXD_IFCS | TXD_RS);
	nic->tx_tail = (index + 1) % E1000_RING;
	return index;
}

void e1000_kick_tx(struct e1000 *nic)
{
	store(nic, TDT, nic->tx_tail);
}

int e1000_sent(struct e1000 *nic)
{
	unsigned index = nic->tx_head;

	if (index == nic->tx_tail || !(fields_of(&nic->tx[index]) & TXD_DD))
		return -1;
	nic->tx_head = (index + 1) % E1000_RING;
	return index;
}

unsigned e1000_queue_rx(struct e1000 *nic, uint64_t bus)
{
	unsigned index = nic->rx_tail;

	nic->rx[index] = (struct e1000_desc){ __builtin_bswap64(bus), 0 };
	nic->rx_tail = (index + 1) % E1000_RING;
	return index;
}

void e1000_kick_rx(struct e1000 *nic)
{
	store(nic, RDT, nic->rx_tail);
}

bool e1000_received(struct e1000 *nic, struct e1000_frame *frame)
{
	unsigned index = nic->rx_head;
	uint64_t fields;

	if (index == nic->rx_tail)
		return false;
	fields = fields_of(&nic->rx[index]);
	if (!(fields & RXD_DD))
		return false;
	*frame = (struct e1000_frame){ index, fields & 0xffff, fields >> 40 };
	nic->rx_head = (index + 1) % E1000_RING;
	return true;
}
