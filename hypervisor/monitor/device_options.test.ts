import { expect, test } from 'vitest';
import { parseDevice } from './device_options.ts';

test.each([
  ['vfio-ccw,drive=0', { id: 'dasd0', from: { drive: 0 }, forceOrbPfch: false }],
  ['vfio-ccw,drive=1,id=a', { id: 'a', from: { drive: 1 }, forceOrbPfch: false }],
  ['vfio-ccw,sysfsdev=/sys/a/b', { id: undefined, from: { sysfsdev: '/sys/a/b' }, forceOrbPfch: false }],
  ['vfio-ccw,sysfsdev=/sys/a,,b', { id: undefined, from: { sysfsdev: '/sys/a,b' }, forceOrbPfch: false }],
  ['vfio-ccw,drive=0,devno=19A', { id: 'dasd0', from: { drive: 0 }, devno: 0x19a, ssid: 0, forceOrbPfch: false }],
  ['vfio-ccw,drive=0,devno=fe.2.0190', { id: 'dasd0', from: { drive: 0 }, devno: 0x190, ssid: 2, forceOrbPfch: false }],
  ['vfio-ccw,drive=0,force-orb-pfch=on', { id: 'dasd0', from: { drive: 0 }, forceOrbPfch: true }],
])('%s', (text, options) => {
  expect(parseDevice(text)).toEqual({ driver: 'vfio-ccw', options });
});

test.each([
  ['vfio-pci,host=0000:01:01.0', { host: '0000:01:01.0' }],
  ['vfio-pci,host=01:0A.0,id=nic', { host: '0000:01:0a.0', id: 'nic' }],
  ['vfio-pci,host=01:01.0,bus=pci.1,addr=1f', { host: '0000:01:01.0', bus: 'pci.1', slot: 31 }],
  ['vfio-pci,addr=3.0,host=01:01.0', { host: '0000:01:01.0', slot: 3 }],
])('%s', (text, options) => {
  expect(parseDevice(text)).toEqual({ driver: 'vfio-pci', options });
});

test.each([
  ['virtio-blk,drive=0', /^'virtio-blk' is no device model here; give vfio-ccw/],
  ['', /^'' is no device model/],
  ['vfio-ccw', /give either sysfsdev=.* or drive=N$/],
  ['vfio-ccw,drive=0,sysfsdev=/sys/a', /give either sysfsdev=.* or drive=N$/],
  ['vfio-ccw,drive=x', /drive=x: give a number$/],
  ['vfio-ccw,drive=0,drive=1', /drive is given twice$/],
  ['vfio-ccw,drive=0,devno=ff.0.1', /devno=ff\.0\.1: give fe\.0\.0190/],
  ['vfio-ccw,drive=0,devno=fe.4.1', /devno=fe\.4\.1: give/],
  ['vfio-ccw,drive=0,devno=12345', /devno=12345: give/],
  ['vfio-ccw,drive=0,force-orb-pfch', /force-orb-pfch=: give on or off$/],
  ['vfio-ccw,drive=0,id=', /id=: give letters/],
  ['vfio-ccw,drive=0,addr=3', /unknown property 'addr'; properties: id, sysfsdev, drive, devno, force-orb-pfch$/],
  ['vfio-pci', /No provided host device; give host=/],
  ['vfio-pci,host=eth0', /host=eth0: give a PCI address/],
  ['vfio-pci,host=0000:01:20.0', /give a PCI address/],
  ['vfio-pci,host=01:01.0,addr=20', /addr=20: give up to 1f/],
  ['vfio-pci,host=01:01.0,addr=1.1', /addr=1\.1: give up to 1f/],
  ['vfio-pci,host=01:01.0,drive=0', /unknown property 'drive'; properties: id, host, bus, addr, x-req$/],
  ['vfio-ccw,sysfsdev=relative', /sysfsdev=relative: give a path below \/sys$/],
])('%s is refused in one sentence', (text, message) => {
  expect(() => parseDevice(text)).toThrow(message);
});
