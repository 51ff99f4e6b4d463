import { expect, test } from 'vitest';
import { codeOf, finish } from '../../test/support/small_machine.ts';
import { File } from '../syscall/file.ts';
import { Vfs } from './vfs.ts';

/** A tree like the one drivers build. */
function tree(): { vfs: Vfs; stored: string[] } {
  const vfs = new Vfs();
  const stored: string[] = [];
  vfs.add('/dev/vfio/vfio', {
    kind: 'device',
    *open(flags) {
      return new File('vfio', {}, flags);
    },
  });
  vfs.attribute(
    '/sys/devices/css0/0.0.0000/uevent',
    () => 'DRIVER=vfio_ccw',
    function* (value) {
      stored.push(value);
    },
  );
  vfs.attribute('/sys/devices/css0/0.0.0000/modalias', () => 'css:t0');
  vfs.add('/sys/bus/css/devices/0.0.0000', { kind: 'link', target: '../../../devices/css0/0.0.0000' });
  vfs.add('/abs', { kind: 'link', target: '/sys/bus/css/devices' });
  vfs.add('/loop', { kind: 'link', target: 'loop' });
  vfs.add('/dangling', { kind: 'link', target: '/nowhere' });
  return { vfs, stored };
}

test('links are followed in every component, relative ones from their own directory', () => {
  const { vfs } = tree();
  const real = '/sys/devices/css0/0.0.0000';
  expect(vfs.resolve('/sys/bus/css/devices/0.0.0000')).toBe(real);
  expect(vfs.resolve('/abs/0.0.0000/modalias')).toBe(`${real}/modalias`);
  expect(vfs.resolve('//sys/./devices/../devices/css0//0.0.0000/')).toBe(real);
  expect(vfs.resolve('/abs/0.0.0000/..')).toBe('/sys/devices/css0');
  expect(vfs.resolve('/../..')).toBe('/');
  expect(vfs.resolve('/abs/0.0.0000', false)).toBe('/sys/bus/css/devices/0.0.0000');
  expect(vfs.readlink('/abs/0.0.0000')).toBe('../../../devices/css0/0.0.0000');
});

test.each([
  ['', 'ENOENT'],
  ['/nothing', 'ENOENT'],
  ['/dev/vfio/7', 'ENOENT'],
  ['/dangling', 'ENOENT'],
  ['/loop', 'ELOOP'],
  ['/loop/x', 'ELOOP'],
  ['/dev/vfio/vfio/x', 'ENOTDIR'],
  ['/dev/vfio/vfio/', 'ENOTDIR'],
  ['/dev/vfio/vfio/..', 'ENOTDIR'],
  ['/sys/devices/css0/0.0.0000/modalias/x', 'ENOTDIR'],
])('opening %j is refused with %s', (path, code) => {
  expect(codeOf(() => finish(tree().vfs.open(path, 0)))).toBe(code);
});

test('readlink of what is no link is EINVAL, of nothing ENOENT', () => {
  const { vfs } = tree();
  expect(codeOf(() => vfs.readlink('/sys'))).toBe('EINVAL');
  expect(codeOf(() => vfs.readlink('/sys/none'))).toBe('ENOENT');
  expect(vfs.readlink('/dangling')).toBe('/nowhere');
});

test('a device’s open gets the flags; a directory lists its names once each, sorted', () => {
  const { vfs } = tree();
  expect(finish(vfs.open('/dev/vfio/vfio', 2)).object).toBe(2);
  expect(finish(vfs.open('/', 0)).operations.list?.()).toEqual(['abs', 'dangling', 'dev', 'loop', 'sys']);
  expect(finish(vfs.open('/abs/0.0.0000', 0)).operations.list?.()).toEqual(['modalias', 'uevent']);
});

test('an attribute is text with a newline, read from an offset; what it cannot do is EACCES', () => {
  const { vfs, stored } = tree();
  const at = '/sys/devices/css0/0.0.0000';
  const { read, write } = finish(vfs.open(`${at}/uevent`, 2)).operations;
  const text = (count: number, offset: number) => Buffer.from(finish(read?.(count, offset) as never)).toString();
  expect(text(4096, 0)).toBe('DRIVER=vfio_ccw\n');
  expect(text(4, 3)).toBe('VER=');
  expect(text(10, 100)).toBe('');
  expect(finish(write?.(Buffer.from(' add \n'), 0) as never)).toBe(6);
  expect(stored).toEqual(['add']);
  const readonly = finish(vfs.open(`${at}/modalias`, 2));
  expect(codeOf(() => finish(readonly.operations.write?.(Buffer.from('x'), 0) as never))).toBe('EACCES');
});

test('removing a node removes what is below it and nothing beside it', () => {
  const { vfs } = tree();
  vfs.attribute('/sys/devices/css0/0.0.00001', () => '');
  vfs.remove('/sys/devices/css0/0.0.0000');
  expect(vfs.list('/sys/devices/css0')).toEqual(['0.0.00001']);
  expect(vfs.has('/sys/devices/css0/0.0.0000/uevent')).toBe(false);
  expect(codeOf(() => vfs.resolve('/abs/0.0.0000'))).toBe('ENOENT');
});
