/**
 * Every trace event: name and the names of its (at most four) numeric arguments; the row's position is its number.
 * Where QEMU or Linux has the event it has their name, and a comment says whose: `trace-events` of that directory of
 * QEMU, or that trace header of Linux. Arguments are theirs as far as four numbers hold them (a subchannel is one number
 * here, `schid`). The Q and K steps are those of the vfio-ccw document; names without a source are ours.
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
  // Linux drivers/s390/cio/vfio_ccw_trace.h; `next`, the state afterwards, is ours
  vfio_ccw_fsm_event: ['schid', 'state', 'event', 'next'],
  vfio_ccw_fsm_io_request: ['schid', 'fctl', 'errno'],
  vfio_ccw_fsm_async_request: ['schid', 'command', 'errno'],
  vfio_ccw_chp_event: ['schid', 'mask', 'event'],
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
  // the virtual channel subsystem: QEMU hw/s390x
  css_io_interrupt: ['cssid_ssid', 'schid', 'intparm', 'isc'],
  css_crw: ['rsc', 'erc', 'rsid', 'chained'],
  // QEMU target/s390x: an intercepted I/O instruction begins, `insn` is its opcode; the other, its end, is ours
  ioinst_sch_id: ['insn', 'cssid', 'ssid', 'schid'],
  s390_ioinst: ['opcode', 'schid', 'cc', 'operand'],
  // the host's channel subsystem, as its kernel uses it: Linux drivers/s390/cio/trace.h
  s390_cio_interrupt: ['schid', 'intparm', 'isc'],
  s390_cio_stcrw: ['rsc', 'erc', 'rsid'],
  // the physical machine: I/O processors, channel programs, faults
  ccw_execute: ['schid', 'command', 'flags', 'count'],
  ccw_fault: ['schid', 'kind', 'command', 'strike'],
  iop_start: ['schid', 'cpa'],
  iop_status: ['schid', 'stctl', 'dstat', 'cstat'],
  // a handler of hypercalls at work: the kernel's thread (tier 1) or the VMM (tier 2)
  hypercall: ['token', 'arg1', 'arg2', 'arg3'],
  hypercall_ret: ['token', 'ret', 'tier'],
  // on the CPU that makes the call, whoever finishes it: 0 real mode, 1 virtual mode, 2 the VMM (Linux arch/powerpc/kvm/trace_hv.h)
  kvm_hcall_enter: ['cpu', 'token', 'arg1', 'arg2'],
  kvm_hcall_exit: ['cpu', 'token', 'ret', 'tier'],
  // QEMU hw/ppc; `list` is the address of the guest's list
  spapr_iommu_put: ['liobn', 'ioba', 'tce', 'ret'],
  spapr_iommu_get: ['liobn', 'ioba', 'ret', 'tce'],
  spapr_iommu_indirect: ['liobn', 'ioba', 'list', 'ret'],
  spapr_iommu_stuff: ['liobn', 'ioba', 'npages', 'ret'],
  spapr_pci_rtas_ibm_change_msi: ['cfg', 'func', 'req', 'first'],
  spapr_drc_attach: ['index'],
  spapr_drc_unplug_request: ['index'],
  spapr_drc_awaiting_quiesce: ['index'],
  spapr_drc_set_isolation_state: ['index', 'state'],
  spapr_drc_set_isolation_state_finalizing: ['index'],
  spapr_drc_set_dr_indicator: ['index', 'state'],
  spapr_drc_set_configured: ['index'],
  spapr_drc_reset: ['index'],
  // QEMU hw/vfio; the kernel's part of the same is ours
  vfio_spapr_create_window: ['ps', 'levels', 'ws', 'off'],
  tce_iommu_create_window: ['shift', 'size', 'start'],
  spapr_rtas: ['token', 'nargs', 'nret', 'status'],
  // the physical bridge; window -1: both. An access: entry it goes through, and what stands there
  tce_kill: ['pe', 'entry', 'count', 'window'],
  phb_dma: ['pe', 'ioba', 'entry', 'tce'],
  dma_port_start: ['pe', 'ioba', 'length', 'command'],
  dma_port_end: ['pe', 'status'],
  pe_freeze: ['pe', 'address', 'reason'],
  // the network interface; the overrun is QEMU's (hw/net), but for the PE
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
  // system calls: the VMM's end, and the kernel's (Linux include/trace/events/syscalls.h, raw); `slot` pairs them
  syscall: ['nr', 'slot', 'arg0', 'arg1'],
  syscall_ret: ['nr', 'slot', 'ret'],
  sys_enter: ['nr', 'arg0', 'arg1', 'slot'],
  sys_exit: ['nr', 'ret', 'slot'],
  // memory; the listener is QEMU's (hw/vfio)
  vfio_listener_region_add_ram: ['iova_start', 'iova_end', 'vaddr'],
  vfio_pamu_plan: ['start', 'end', 'windows', 'size'],
  mm_migrate: ['hva', 'from', 'to'],
  mm_pin: ['hva', 'pages'],
  mm_unpin: ['hva', 'pages'],
  // processors. The CPU's thread leaves KVM_RUN (Linux include/trace/events/kvm.h), and is back (ours)
  kvm_userspace_exit: ['cpu', 'reason', 'text'],
  kvm_userspace_enter: ['cpu', 'answer'],
  // the VMM found KVM_RUN ended, and begins it again (QEMU accel/kvm); `text`, the instruction, is ours
  kvm_run_exit: ['cpu', 'reason', 'text'],
  kvm_vcpu_ioctl: ['cpu', 'type', 'arg'],
  // interruptions (Linux arch/s390/kvm/trace-s390.h); types are KVM_S390_*, data0 of I/O is the subsystem identification
  kvm_s390_inject_vm: ['type', 'parm', 'parm64'],
  kvm_s390_inject_vcpu: ['id', 'type', 'parm', 'parm64'],
  kvm_s390_deliver_interrupt: ['id', 'type', 'data0', 'data1'],
} as const;

export type TraceEvent = keyof typeof TRACE_EVENTS;
