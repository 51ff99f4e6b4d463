/** The operation mapping table, as the driver makes it and the PAMU uses it. */
import { beforeEach, describe, expect, test } from 'vitest';
import { busRead, busWrite } from '../../devices/physical/pamu/interconnect.ts';
import { SocPort } from '../../devices/physical/pamu/soc_port.ts';
import { QBMAN_NODES } from '../../kernel/include/arch/ppc/fsl_soc.ts';
import {
  EOE,
  IOE_IDX,
  OME_NUMBER_ENTRIES,
  OME_SIZE,
  OMI,
  PAACE,
  PAACE_DA_HOST_CR,
  PAACE_IA,
  PAACE_OTM,
} from '../../kernel/include/arch/ppc/pamu.ts';
import { preempt } from '../../kernel/lib/task.ts';
import { FslPamuDomain } from '../../kernel/ppc/fsl_pamu_domain.ts';
import { MiB, PamuFixture } from '../support/pamu_fixture.ts';

/** LIODNs of U-Boot: queue manager, buffer manager, the first portal's dequeue ring and the last one's frame data. */
const [QMAN, BMAN, PORTAL, LAST_PORTAL] = [31, 32, 1, 20];
/** Of dma0, whose operations are not mapped. */
const DMA = 0x40;
/** Stash id of the platform cache. */
const L3 = 0x1f;

let t: PamuFixture;
let port: SocPort;
let page: number;
beforeEach(() => {
  t = new PamuFixture();
  port = new SocPort({ memory: t.memory, socBase: t.map.soc });
  page = t.kernel.mm.pages.allocPage() as number;
  t.memory.bytes(page, 4096).fill(0x5a);
});

type Operation = keyof typeof IOE_IDX;
const WRITES: readonly Operation[] = ['WRITE', 'EWRITE0', 'EWRITE1'];
/** What an operation of a LIODN's becomes; undefined: it is refused. */
function asked(liodn: number, operation: Operation | undefined, address = page) {
  const master = { pamu: 0, liodn };
  const code = operation === undefined ? undefined : IOE_IDX[operation];
  const bytes = new Uint8Array(4);
  return port.area.locked(() =>
    operation !== undefined && WRITES.includes(operation)
      ? busWrite(port, master, address, bytes, code)
      : busRead(port, master, address, bytes, code),
  );
}
/** Lets the kernel see interrupts. */
const settle = () =>
  t.run(
    (function* () {
      for (let turn = 0; turn < 50; turn++) yield* preempt();
    })(),
  );
const violations = () => t.host.pamu.violations.map(({ liodn, code, disabled }) => [liodn, code, disabled]);

test('the table in memory: four entries, each byte with its valid bit, the rest zero', () => {
  const { omt } = t.host.pamu.tables;
  const bytes = t.memory.bytes(omt, OME_NUMBER_ENTRIES * OME_SIZE);
  const found = [...bytes.entries()].filter(([, byte]) => byte !== 0);
  const at = (omi: number, operation: Operation) => omi * OME_SIZE + IOE_IDX[operation];
  // drivers/iommu/fsl_pamu.c, setup_omt.
  expect(found).toEqual([
    [at(OMI.QMAN, 'READ'), 0x80],
    [at(OMI.QMAN, 'WRITE'), 0x81],
    [at(OMI.QMAN, 'EREAD0'), 0x96],
    [at(OMI.QMAN, 'EWRITE0'), 0x9d],
    [at(OMI.QMAN, 'DIRECT0'), 0x90],
    [at(OMI.QMAN, 'DIRECT1'), 0x92],
    [at(OMI.FMAN, 'READ'), 0x98],
    [at(OMI.FMAN, 'WRITE'), 0x81],
    [at(OMI.QMAN_PRIV, 'READ'), 0x80],
    [at(OMI.QMAN_PRIV, 'WRITE'), 0x81],
    [at(OMI.QMAN_PRIV, 'EREAD0'), 0x96],
    [at(OMI.QMAN_PRIV, 'EWRITE0'), 0x9b],
    [at(OMI.CAAM, 'READ'), 0x98],
    [at(OMI.CAAM, 'WRITE'), 0x81],
  ]);
});

test('the host’s entries: portals and queue manager by index and stashing, private memory not coherent', () => {
  const entry = (liodn: number) => {
    const { op_encode, domain_attr, impl_attr } = PAACE.at(t.memory.dv, t.host.pamu.tables.primary(liodn) as number);
    const { CID, V, AP } = t.primary(liodn);
    return {
      OTM: PAACE_IA.get(impl_attr, 'OTM'),
      CID,
      V,
      AP,
      omi: op_encode,
      coherent: domain_attr === PAACE_DA_HOST_CR,
    };
  };
  const common = { V: 1, AP: 3 };
  const indexed = { ...common, OTM: PAACE_OTM.INDEXED, CID: L3 };
  const plain = { ...common, OTM: PAACE_OTM.NO_XLATE, CID: 0, omi: 0 };
  expect(entry(QMAN)).toEqual({ ...indexed, omi: OMI.QMAN_PRIV, coherent: false });
  expect(entry(PORTAL)).toEqual({ ...indexed, omi: OMI.QMAN, coherent: true });
  expect(entry(LAST_PORTAL)).toEqual(entry(PORTAL));
  expect(entry(BMAN)).toEqual({ ...plain, coherent: false });
  expect(entry(DMA)).toEqual({ ...plain, coherent: true });
  expect(QBMAN_NODES.flatMap(({ liodns }) => liodns).filter((liodn) => !t.host.pamu.tables.isValid(liodn))).toEqual([]);
});

describe('an operation on the interconnect', () => {
  test.each([
    [PORTAL, 'READ', 'READ'],
    [PORTAL, 'WRITE', 'WRITE'],
    [PORTAL, 'EREAD0', 'RSA'],
    [PORTAL, 'EWRITE0', 'WWSAO'],
    [PORTAL, 'DIRECT0', 'LDEC'],
    [PORTAL, 'DIRECT1', 'LDECPE'],
    [QMAN, 'EREAD0', 'RSA'],
    [QMAN, 'EWRITE0', 'WWSA'],
  ] as const)('LIODN %i, %s: %s, and the data goes into the platform cache', (liodn, operation, encoding) => {
    expect(asked(liodn, operation)).toEqual({ physical: page, stash: L3, operation: EOE[encoding] });
    expect(t.memory.u8[page]).toBe(WRITES.includes(operation) ? 0 : 0x5a);
    settle();
    expect(violations()).toEqual([]);
  });

  test('of a device whose operations are not mapped stays as it is', () => {
    expect(asked(DMA, undefined)).toEqual({ physical: page, stash: 0, operation: undefined });
    expect(asked(BMAN, 'WRITE')).toEqual({ physical: page, stash: 0, operation: undefined });
  });

  test.each([
    ['a directive that the queue manager has no mapping for', QMAN, 'DIRECT0'],
    ['an atomic read of a portal', PORTAL, 'RAS'],
    ['an enhanced write of type 1', PORTAL, 'EWRITE1'],
    ['an enhanced read of a device without mapping', DMA, 'EREAD0'],
  ] as const)('%s is a violation, moves nothing, and stops the LIODN', (_, liodn, operation) => {
    expect(asked(liodn, operation)).toBe(undefined);
    expect(t.memory.u8[page]).toBe(0x5a);
    settle();
    expect(violations()).toEqual([[liodn, 'OTV', false]]);
    expect(t.host.pamu.tables.isValid(liodn)).toBe(false);
    expect(asked(liodn, 'READ')).toBe(undefined);
    expect(asked(liodn === QMAN ? PORTAL : QMAN, 'READ')).not.toBe(undefined);
  });
});

test('a domain has the device’s mapping in every window, and its own stash', () => {
  const domain = new FslPamuDomain(t.host.pamu);
  domain.setGeometry(0, 8 * MiB - 1);
  domain.setWindows(2);
  t.host.pamu.tables.setValid(PORTAL, false);
  domain.attach(PORTAL);
  domain.setStash({ cpu: 1, cache: 2 });
  for (const index of [0, 1])
    domain.map([{ index, kind: 'dma', iova: index * 4 * MiB, physical: page, length: 4096, access: 3 }]);
  for (const base of [0, 4 * MiB])
    expect(asked(PORTAL, 'EWRITE0', base + 16)).toEqual({ physical: page + 16, stash: 4, operation: EOE.WWSAO });
  domain.detach(PORTAL);
  expect(asked(PORTAL, 'READ', 0)).toBe(undefined);
});
