/** Runs the command as a user does: a process of its own, in a folder of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const COMMAND = fileURLToPath(new URL('../../hypervisor/minivisor.js', import.meta.url));

export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A fresh folder, removed by the returned function. */
export function workFolder(): { folder: string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'minivisor-test-'));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Starts `minivisor ...`; `ended` resolves with everything it printed. @param input its standard input, none when omitted */
export function startCli(
  folder: string,
  words: readonly string[],
  input?: string,
): { child: ChildProcess; ended: Promise<Ended> } {
  const stdin = input === undefined ? 'ignore' : 'pipe';
  const child = spawn(process.execPath, [COMMAND, ...words], { cwd: folder, stdio: [stdin, 'pipe', 'pipe'] });
  // A process that has ended reads no more.
  child.stdin?.on('error', () => {});
  child.stdin?.end(input);
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (data) => {
    stdout += data;
  });
  child.stderr?.on('data', (data) => {
    stderr += data;
  });
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (status, signal) => resolve({ status, signal, stdout, stderr }));
  });
  return { child, ended };
}

export async function runCli(folder: string, words: readonly string[], input?: string): Promise<Ended> {
  return await startCli(folder, words, input).ended;
}
