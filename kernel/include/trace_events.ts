/**
 * Every trace event: name and the names of its (at most four) numeric arguments. QEMU's and Linux's names where they
 * have the event; the Q and K steps are the ones of the vfio-ccw document. The row's position is the event's number.
 */
export const TRACE_EVENTS = {
  // vfio-ccw: the steps of one I/O, merged design (Documentation/arch/s390/vfio-ccw.rst, "The vfio-ccw I/O process")
  vfio_ccw_Q1: ['schid', 'offset', 'size'],
  vfio_ccw_Q2: ['schid', 'eventfd'],
  vfio_ccw_Q3: ['schid', 'orb'],
  vfio_ccw_Q4: ['schid', 'cpa'],
  vfio_ccw_K1: ['schid', 'cpa', 'ccws'],
  vfio_ccw_K2: ['schid', 'cpa', 'pages'],
  vfio_ccw_K3: ['schid', 'cpa'],
  vfio_ccw_K4: ['schid', 'errno'],
  vfio_ccw_Q5: ['schid', 'cc'],
  vfio_ccw_K5: ['schid', 'stctl', 'dstat', 'cstat'],
  vfio_ccw_K6: ['schid'],
  vfio_ccw_Q6: ['schid', 'stctl'],
  vfio_ccw_Q7: ['schid', 'intparm', 'isc'],
  vfio_ccw_fsm: ['schid', 'state', 'event', 'next'],
  vfio_ccw_async: ['schid', 'command', 'ret'],
  // the blocking design of 2016 (RFC "basic vfio-ccw infrastructure"): its own steps
  ccw_rfc_Q1: ['schid', 'orb'],
  ccw_rfc_Q2: ['schid', 'cpa', 'ccws', 'idaws'],
  ccw_rfc_Q3: ['schid', 'buffer'],
  ccw_rfc_K1: ['schid', 'buffer', 'ccws'],
  ccw_rfc_K2: ['schid', 'ccws', 'pages'],
  ccw_rfc_K3: ['schid', 'cpa'],
  ccw_rfc_K4: ['schid', 'stctl', 'dstat', 'cstat'],
  ccw_rfc_K5: ['schid', 'stctl', 'dstat', 'cstat'],
  ccw_rfc_K6: ['schid'],
  ccw_rfc_Q4: ['schid', 'stctl', 'intparm'],
  // status that nobody waits for, and functions that only the virtual subchannel performs
  ccw_rfc_lost: ['schid', 'stctl', 'dstat', 'cstat'],
  ccw_rfc_pretend: ['schid', 'fctl'],
  // channel subsystem (QEMU hw/s390x/trace-events names where they exist)
  css_io_interrupt: ['cssid_ssid', 'schid', 'intparm', 'isc'],
  css_crw: ['rsc', 'erc', 'rsid'],
  s390_ioinst: ['opcode', 'schid', 'cc', 'operand'],
  ccw_execute: ['schid', 'command', 'flags', 'count'],
  ccw_fault: ['schid', 'kind', 'command', 'strike'],
  iop_start: ['schid', 'cpa'],
  iop_status: ['schid', 'stctl', 'dstat', 'cstat'],
  // hypercalls and TCE
  hypercall: ['token', 'arg1', 'arg2', 'arg3'],
  hypercall_ret: ['token', 'ret', 'tier'],
  spapr_iommu_put: ['liobn', 'ioba', 'tce', 'ret'],
  vfio_spapr_create_window: ['shift', 'size', 'start'],
  spapr_rtas: ['token', 'nargs', 'nret', 'status'],
  spapr_pci_msi: ['config_addr', 'vectors', 'first'],
  tce_kill: ['pe', 'entry', 'count'],
  pe_freeze: ['pe', 'address', 'reason'],
  // the network interface (QEMU hw/net/trace-events names where they exist)
  e1000_tx: ['pe', 'frames', 'descriptors'],
  e1000_rx: ['pe', 'frames', 'descriptors'],
  e1000_irq: ['pe', 'causes', 'itr'],
  e1000_receiver_overrun: ['pe', 'length', 'rdh', 'rdt'],
  // PAMU, MPIC message banks and the Elo DMA engine
  pamu_violation: ['liodn', 'address', 'code', 'kind'],
  pamu_access: ['liodn', 'address', 'physical', 'attributes'],
  fsl_pamu_isolated: ['liodn', 'address'],
  fsl_msi: ['bank', 'srs', 'ibs', 'liodn'],
  ccsr_foreign_access: ['liodn', 'offset', 'value'],
  fsl_dma_start: ['channel', 'mode', 'liodn'],
  fsl_dma_end: ['channel', 'status'],
  // system calls, memory and processors
  syscall: ['nr', 'arg0', 'arg1', 'arg2'],
  syscall_ret: ['nr', 'ret'],
  vfio_listener_region_add: ['gpa', 'size', 'hva'],
  vfio_pamu_plan: ['start', 'end', 'windows', 'size'],
  mm_migrate: ['hva', 'from', 'to'],
  mm_pin: ['hva', 'pages'],
  mm_unpin: ['hva', 'pages'],
  kvm_exit: ['cpu', 'reason', 'text'],
  kvm_interrupt: ['cpu', 'type', 'code', 'parameter'],
} as const;

export type TraceEvent = keyof typeof TRACE_EVENTS;
