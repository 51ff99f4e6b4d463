import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { clearStaleSocket, monitorPlace } from './place.ts';

const folder = mkdtempSync(join(tmpdir(), 'place-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('a folder that is missing is named', () => {
  const path = join(folder, 'nowhere/sock');
  expect(() => monitorPlace(`unix:${path}`)).toThrow(
    `--monitor unix:${path}: there is no folder ${join(folder, 'nowhere')}; make it first, or give another path`,
  );
  expect(monitorPlace(`unix:${folder}/sock`)).toEqual({ kind: 'unix', path: join(folder, 'sock') });
  expect(monitorPlace('stdio')).toEqual({ kind: 'stdio' });
});

test('a socket that a killed process left is removed', async () => {
  const path = join(folder, 'stale');
  const listen = "require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))";
  spawnSync(process.execPath, ['-e', listen, path]);
  expect(existsSync(path)).toBe(true);
  await clearStaleSocket({ kind: 'unix', path });
  expect(existsSync(path)).toBe(false);
  await clearStaleSocket({ kind: 'unix', path });
  await clearStaleSocket({ kind: 'stdio' });
});

test('a socket on which somebody listens is refused, and a file that is no socket is left alone', async () => {
  const path = join(folder, 'used');
  const server = createServer();
  await new Promise<void>((listening) => server.listen(path, listening));
  await expect(clearStaleSocket({ kind: 'unix', path })).rejects.toThrow(
    `--monitor unix:${path}: another process listens there; end it, or give another path`,
  );
  expect(existsSync(path)).toBe(true);
  server.close();
  const file = join(folder, 'file');
  writeFileSync(file, 'mine');
  await clearStaleSocket({ kind: 'unix', path: file });
  expect(existsSync(file)).toBe(true);
});
