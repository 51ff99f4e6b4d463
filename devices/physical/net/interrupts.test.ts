/** Interrupts: pin and message, masks, delays, throttling, thresholds, the link. */
import { expect, test } from 'vitest';
import { sleep, until } from '../../../kernel/lib/task.ts';
import { CAUSE, RCTL, REG, TXD_CMD } from './e1000_regs.ts';
import { setCarrier } from './install_nics.ts';
import { AT, frame, MACS, mac, type TestNics, testNics } from './test_nic.ts';

const ME = mac(MACS[0]);
const { EOP, IFCS, RS, IDE } = TXD_CMD;
const US = 1000;

function up(host: TestNics, causes = 0) {
  const [nic] = host.drivers;
  nic.up();
  host.settle();
  nic.read(REG.ICR);
  nic.write(REG.IMS, causes);
  return nic;
}

/** Time at which the pin is next asserted, from now. */
function assertedAfter(host: TestNics): number {
  const start = host.simulation.now;
  host.run(function* () {
    yield* until('interrupt', () => host.pin());
  });
  return host.simulation.now - start;
}

test('the pin stays asserted until the causes are read, and the kernel is rung', () => {
  const host = testNics(['loopback']);
  const nic = up(host, CAUSE.RXT0);
  const rung = host.kernelDoorbell.sequence();
  nic.send(frame(ME, 60));
  host.settle();
  expect(host.pin()).toBe(true);
  expect(host.kernelDoorbell.sequence()).toBe(rung + 1);
  expect(nic.read(REG.ICR)).toBe(CAUSE.RXT0 | CAUSE.TXDW | CAUSE.TXQE);
  expect(host.pin()).toBe(false);
});

test('a cause that is not enabled shows in ICR only; enabled later it interrupts', () => {
  const host = testNics(['loopback']);
  const nic = up(host, CAUSE.LSC);
  nic.send(frame(ME, 60));
  host.settle();
  expect(host.pin()).toBe(false);
  nic.write(REG.IMS, CAUSE.TXDW);
  host.settle();
  expect(host.pin()).toBe(true);
  nic.write(REG.IMC, CAUSE.TXDW | CAUSE.LSC);
  expect(host.pin()).toBe(false);
});

test('software may raise causes itself; INTx disable keeps the pin from the kernel', () => {
  const host = testNics(['none']);
  const nic = up(host, CAUSE.RXSEQ);
  nic.write(REG.ICS, CAUSE.RXSEQ);
  host.settle();
  expect(host.pin()).toBe(true);
  host.bridge.configWrite(0, 4, 2, 0x0406);
  expect(host.pin()).toBe(false);
});

test('with MSI enabled there is one message per assertion, and no pin', () => {
  const host = testNics(['loopback']);
  const nic = up(host, CAUSE.RXT0);
  host.bridge.configWrite(0, 0xf2, 2, 1);
  nic.send(frame(ME, 60));
  nic.send(frame(ME, 60));
  host.settle();
  expect(host.messages()).toBe(1);
  expect(host.messages()).toBe(0);
  expect(host.pin()).toBe(false);
  nic.read(REG.ICR);
  nic.send(frame(ME, 60));
  host.settle();
  expect(host.messages()).toBe(1);
});

test('a message of a frozen PE is lost', () => {
  const host = testNics(['none']);
  const nic = up(host, CAUSE.RXSEQ);
  host.bridge.configWrite(0, 0xf2, 2, 1);
  nic.write(REG.ICS, CAUSE.RXSEQ);
  host.bridge.eehFreeze(0);
  host.settle();
  host.bridge.eehUnfreeze(0);
  expect(host.messages()).toBe(0);
});

test('no cause is lost between an engine that raises and a driver that reads', () => {
  for (let seed = 1; seed <= 30; seed++) {
    const host = testNics(['loopback'], seed);
    const nic = up(host, CAUSE.RXT0);
    let got = 0;
    host.run(function* () {
      for (let i = 0; i < 20; i++) nic.pending < 7 && nic.send(frame(ME, 60, i));
      while (nic.pending > 0 || got < 7) {
        yield* until('interrupt', () => host.pin());
        nic.read(REG.ICR);
        got += nic.receiveAll().length;
      }
    });
    expect(got).toBeGreaterThanOrEqual(7);
  }
});

test('ITR keeps assertions apart by its units of 256 ns', () => {
  const host = testNics(['none']);
  const nic = up(host, CAUSE.RXSEQ);
  nic.write(REG.ITR, 400); // 102.4 us
  nic.write(REG.ICS, CAUSE.RXSEQ);
  expect(assertedAfter(host)).toBeLessThan(50 * US);
  nic.read(REG.ICR);
  nic.write(REG.ICS, CAUSE.RXSEQ);
  const waited = assertedAfter(host);
  expect(waited).toBeGreaterThan(90 * US);
  expect(waited).toBeLessThan(130 * US);
});

test('RDTR delays the receive interrupt after each frame, RADV bounds the delay, FPD ends it', () => {
  const host = testNics(['loopback']);
  const nic = up(host, CAUSE.RXT0);
  nic.write(REG.RDTR, 100);
  nic.send(frame(ME, 60), EOP | IFCS);
  const alone = assertedAfter(host);
  expect(alone).toBeGreaterThan(100 * US);
  expect(alone).toBeLessThan(150 * US);
  nic.read(REG.ICR);
  nic.write(REG.RADV, 150);
  const start = host.simulation.now;
  host.run(function* () {
    while (!host.pin()) {
      if (nic.pending < 3) nic.send(frame(ME, 60), EOP | IFCS);
      nic.receiveAll();
      yield* sleep(host.simulation.actor('kernel'), 20 * US);
    }
  });
  expect(host.simulation.now - start).toBeGreaterThan(150 * US);
  expect(host.simulation.now - start).toBeLessThan(250 * US);
  nic.read(REG.ICR);
  nic.write(REG.RDTR, 2 ** 31 + 100);
  expect(assertedAfter(host)).toBeLessThan(20 * US);
  expect(nic.read(REG.RDTR)).toBe(100);
});

test('TIDV delays the report of descriptors that ask for it', () => {
  const host = testNics(['loopback']);
  const nic = up(host, CAUSE.TXDW);
  nic.write(REG.TIDV, 200);
  nic.send(frame(ME, 60), EOP | IFCS | RS | IDE);
  expect(assertedAfter(host)).toBeGreaterThan(200 * US);
  nic.read(REG.ICR);
  nic.send(frame(ME, 60), EOP | IFCS | RS);
  expect(assertedAfter(host)).toBeLessThan(50 * US);
});

test.each([
  [0, 4],
  [1, 2],
  [2, 1],
])(
  'RDMTS %i: the threshold interrupt comes when the free descriptors fall to 1/2, 1/4, 1/8 of the ring',
  (rdmts, free) => {
    const host = testNics(['loopback']);
    const nic = up(host);
    nic.write(REG.RCTL, RCTL.EN | RCTL.UPE | RCTL.SECRC | (rdmts << RCTL.RDMTS_SHIFT));
    for (let left = 6; left >= 0; left--) {
      nic.send(frame(ME, 60));
      host.settle();
      nic.receive(false);
      expect((nic.read(REG.ICR) & CAUSE.RXDMT0) !== 0, `${left} free`).toBe(left === free);
    }
  },
);

test('TXD_LOW comes when the descriptors left fall below the threshold', () => {
  const host = testNics(['loopback']);
  const [nic] = host.drivers;
  nic.up({ tx: 64, rx: 64 });
  nic.write(REG.TXDCTL, 2 * 2 ** 25);
  for (let i = 0; i < 40; i++) nic.send(frame(ME, 60), EOP | IFCS);
  host.settle();
  expect(nic.read(REG.ICR) & CAUSE.TXD_LOW).toBe(CAUSE.TXD_LOW);
  for (let i = 0; i < 10; i++) nic.send(frame(ME, 60), EOP | IFCS);
  host.settle();
  expect(nic.read(REG.ICR) & CAUSE.TXD_LOW).toBe(0); // it did not fall: it was low already
});

test('the link goes up and down with the cable, each change a cause', () => {
  const host = testNics([{ wire: 'loopback', link: 'down' }]);
  const nic = up(host, CAUSE.LSC);
  expect(nic.read(REG.STATUS) & 2).toBe(0);
  for (const plugged of [true, false, true]) {
    setCarrier(host.memory, AT.net, 0, plugged);
    host.doorbells[0].ring();
    expect(assertedAfter(host)).toBeLessThan(50 * US);
    expect(nic.read(REG.ICR)).toBe(CAUSE.LSC);
    expect(nic.read(REG.STATUS) & 2).toBe(plugged ? 2 : 0);
  }
});

test('a reset takes the interrupt back and forgets delays', () => {
  const host = testNics(['loopback']);
  const nic = up(host, CAUSE.TXQE | CAUSE.RXT0);
  nic.write(REG.RDTR, 1000);
  nic.send(frame(ME, 60));
  host.settle();
  expect(host.pin()).toBe(true);
  host.bridge.reset(0);
  expect(host.pin()).toBe(false);
  host.bridge.configWrite(0, 4, 2, 6);
  nic.write(REG.IMS, CAUSE.RXT0);
  host.run(function* () {
    yield* sleep(host.simulation.actor('kernel'), 3000 * US);
  });
  expect(nic.read(REG.ICR) & CAUSE.RXT0).toBe(0);
});
