/**
 * The file tree the VMM sees: device nodes under /dev, attributes and links under /sys. Nodes are registered by the
 * drivers that own them.
 */
import { Errno } from '../include/uapi/errno.ts';
import type { Task } from '../lib/task.ts';
import { File } from '../syscall/file.ts';

/** A node of the tree. */
export type Node =
  | { readonly kind: 'device'; open(flags: number): Task<File> }
  | { readonly kind: 'attribute'; show?(): string; store?(value: string): Task }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'directory' };

/** Longest path taken from user space (PATH_MAX). */
export const PATH_MAX = 4096;
/** Most links followed in one lookup (MAXSYMLINKS). */
const MAX_LINKS = 40;

export class Vfs {
  readonly #nodes = new Map<string, Node>([['/', { kind: 'directory' }]]);

  /** Adds a node and the directories above it. */
  add(path: string, node: Node): void {
    for (let slash = path.indexOf('/', 1); slash > 0; slash = path.indexOf('/', slash + 1)) {
      const directory = path.slice(0, slash);
      if (!this.#nodes.has(directory)) this.#nodes.set(directory, { kind: 'directory' });
    }
    this.#nodes.set(path, node);
  }

  /** Adds a read-only attribute. */
  attribute(path: string, show: () => string, store?: (value: string) => Task): void {
    this.add(path, { kind: 'attribute', show, store });
  }

  /** Removes a node and everything below it. */
  remove(path: string): void {
    for (const key of [...this.#nodes.keys()]) if (key === path || key.startsWith(`${path}/`)) this.#nodes.delete(key);
  }

  has(path: string): boolean {
    return this.#nodes.has(path);
  }

  /** Names in a directory, sorted. */
  list(path: string): string[] {
    const prefix = path === '/' ? '/' : `${path}/`;
    const names = new Set<string>();
    for (const key of this.#nodes.keys())
      if (key.startsWith(prefix) && key !== '/') names.add(key.slice(prefix.length).split('/')[0]);
    return [...names].sort();
  }

  /** Follows links in every component. @throws Errno ENOENT, ENOTDIR, ELOOP */
  resolve(path: string, followLast = true): string {
    if (path === '') throw new Errno('ENOENT', 'empty path');
    // A path that ends in a slash names a directory.
    const directory = path.endsWith('/');
    let links = 0;
    let at = '';
    const parts = path.split('/').filter((part) => part !== '');
    while (parts.length > 0) {
      const part = parts.shift() as string;
      if (part === '.') continue;
      if (part === '..') {
        at = at.slice(0, at.lastIndexOf('/'));
        continue;
      }
      const next = `${at}/${part}`;
      const node = this.#nodes.get(next);
      if (node === undefined) throw new Errno('ENOENT', path);
      if (node.kind === 'link' && (followLast || directory || parts.length > 0)) {
        if (++links > MAX_LINKS) throw new Errno('ELOOP', path);
        parts.unshift(...node.target.split('/').filter((p) => p !== ''));
        if (node.target.startsWith('/')) at = '';
        continue;
      }
      if ((parts.length > 0 || directory) && node.kind !== 'directory' && node.kind !== 'link')
        throw new Errno('ENOTDIR', path);
      at = next;
    }
    return at === '' ? '/' : at;
  }

  /** open(2). @throws Errno ENOENT, ENOTDIR, and whatever the device's open says */
  *open(path: string, flags: number): Task<File> {
    const resolved = this.resolve(path);
    const node = this.#nodes.get(resolved) as Node;
    if (node.kind === 'device') return yield* node.open(flags);
    if (node.kind === 'directory') return new File(resolved, { list: () => this.list(resolved) });
    if (node.kind === 'attribute') return attributeFile(resolved, node);
    throw new Errno('ENOENT', path);
  }

  /** readlink(2). @throws Errno EINVAL when it is no link */
  readlink(path: string): string {
    const node = this.#nodes.get(this.resolve(path, false)) as Node;
    if (node.kind !== 'link') throw new Errno('EINVAL', path);
    return node.target;
  }
}

function attributeFile(path: string, node: Extract<Node, { kind: 'attribute' }>): File {
  return new File(path, {
    *read(count, offset) {
      if (node.show === undefined) throw new Errno('EACCES', path);
      return new TextEncoder().encode(`${node.show()}\n`).subarray(offset, offset + count);
    },
    *write(bytes) {
      if (node.store === undefined) throw new Errno('EACCES', path);
      yield* node.store(new TextDecoder().decode(bytes).trim());
      return bytes.length;
    },
  });
}
