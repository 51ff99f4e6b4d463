/* DMA through TCEs, by the machine's DMA port. */
#ifndef TCE_DMA_H
#define TCE_DMA_H

#include "dmaport.h"
#include "tce.h"

#define TCE_DMA_PAGES	3

/* The pages check_tce maps, in the order of their I/O bus addresses. */
extern uint8_t tce_dma_pages[TCE_DMA_PAGES][TCE_PAGE_SIZE];

/* With all pages mapped read and write; leaves them so. False when there is no working port. */
bool check_dma(const struct tce_window *window, struct dmaport *port);

/* With no page mapped any more. */
void check_dma_refused(struct dmaport *port);

#endif
