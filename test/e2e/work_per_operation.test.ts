/** What one operation costs the machine, counted: exits, system calls, copies between user memory and the kernel, pins. */
import { afterAll, expect, test } from 'vitest';
import { workPerOperation } from '../../hypervisor/bench/series.ts';
import type { MarkSeries } from '../../hypervisor/config.ts';
import { simulate } from '../../hypervisor/simulate.ts';
import { kvm_s390_interrupt } from '../../kernel/include/uapi/kvm.ts';
import {
  ccw_io_region,
  VFIO_CCW_CHAIN,
  vfio_ccw_cmd,
  vfio_iommu_type1_dma_map,
  vfio_iommu_type1_dma_unmap,
} from '../../kernel/include/uapi/vfio.ts';
import { workFolder } from '../support/cli.ts';
import { toyConfig, toyDrive } from '../support/toy.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const drive = `${toyDrive(folder)},cache=unsafe`;
/** Series of the toy guest. */
const [REAL, VIRTUAL, EXIT, NOP, READ] = [0, 1, 2, 3, 4];
/** CCWs are copied as many as a segment can have (vfio_ccw_cp: CCWCHAIN_LEN_MAX of 8 bytes). */
const CCWS = 256 * 8;
/** An eventfd's count. */
const EVENTFD = 8;

async function marks(...words: string[]): Promise<Readonly<Record<number, MarkSeries>>> {
  const append = words.includes('--ccw-api') ? 'bench=0 ssch=40' : 'bench=1 ssch=40';
  const run = await simulate(await toyConfig(drive, ['--sim', '--append', append, '--memory', '16M', ...words]));
  expect(run.result.status).toBe(0);
  return run.result.marks;
}
const counted = (series: MarkSeries) => {
  const { exits, systemCalls, copies, copiedBytes, pins } = workPerOperation(series) ?? {};
  return { exits, systemCalls, copies, copiedBytes, pins };
};

test('H_PUT_TCE: nothing at all in real mode, hand-offs alone in virtual mode, an ioctl by the exit, and no pin in any', async () => {
  const series = await marks();
  const nothing = { exits: 0, systemCalls: 0, copies: 0, copiedBytes: 0, pins: 0 };
  expect([workPerOperation(series[REAL]), counted(series[REAL])]).toEqual([{ ...nothing, handOffs: 0 }, nothing]);
  // To the kernel and back.
  expect([workPerOperation(series[VIRTUAL])?.handOffs, counted(series[VIRTUAL])]).toEqual([2, nothing]);
  const exit = counted(series[EXIT]);
  expect(exit).toMatchObject({ exits: 1, systemCalls: 1, pins: 0 });
  // MAP_DMA is copied in; UNMAP_DMA is copied in and back: how many of each follows from how many copies there were.
  const calls = series[EXIT].batches.length - 1;
  const unmaps = Math.round(calls * ((exit.copies as number) - 1));
  expect(unmaps).toBeGreaterThan(calls / 3);
  expect(unmaps).toBeLessThan((2 * calls) / 3);
  const bytes = (calls - unmaps) * vfio_iommu_type1_dma_map.size + 2 * unmaps * vfio_iommu_type1_dma_unmap.size;
  expect((exit.copiedBytes as number) * calls).toBeCloseTo(bytes, 6);
});

test('SSCH as merged: five copies, whatever the program does; a 4K read pins its data and the page of its parameters', async () => {
  const series = await marks();
  // pwrite of the I/O region, eventfd, pread of the region, interruption; the CCWs come by vfio_dma_rw.
  const copiedBytes = 2 * ccw_io_region.size + EVENTFD + kvm_s390_interrupt.size + CCWS;
  const common = { exits: 3, systemCalls: 4, copies: 5, copiedBytes };
  expect(counted(series[NOP])).toEqual({ ...common, pins: 0 });
  expect(counted(series[READ])).toEqual({ ...common, pins: 2 });
});

test('SSCH of the 2016 proposal: half the system calls, and the program as the VMM wrote it instead of the regions', async () => {
  const series = await marks('--ccw-api', 'cmd-request');
  // The ioctl's structure in and back, the program with its IDALs, interruption.
  const copiedBytes = 2 * vfio_ccw_cmd.size + VFIO_CCW_CHAIN.SIZE + kvm_s390_interrupt.size;
  const common = { exits: 3, systemCalls: 2, copies: 4, copiedBytes };
  expect(counted(series[NOP])).toEqual({ ...common, pins: 0 });
  expect(counted(series[READ])).toEqual({ ...common, pins: 2 });
});
