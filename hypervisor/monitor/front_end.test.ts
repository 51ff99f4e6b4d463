import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { MAILBOX_TEXT } from '../../kernel/lib/monitor_mailbox.ts';
import { workFolder } from '../../test/support/cli.ts';
import { MonitorFrontEnd } from './front_end.ts';

const { folder, remove } = workFolder();
afterAll(remove);

/** A monitor that answers each line in brackets, and a client that never hangs up by itself. */
async function connect(name: string, machines = 1) {
  const asked: number[] = [];
  const mailbox = {
    ended: false,
    async ask(line: string) {
      asked.push(line.length);
      return { text: `<${line}>\n`, cut: false };
    },
  };
  const mailboxes = Array.from({ length: machines }, () => mailbox);
  const frontEnd = new MonitorFrontEnd({ mailboxes, rows: () => [], ended: () => false });
  const path = join(folder, name);
  await frontEnd.start({ kind: 'unix', path });
  const socket = createConnection({ path, allowHalfOpen: true });
  let said = '';
  socket.on('data', (data) => {
    said += data;
  });
  const heard = async (text: string) => {
    while (!said.includes(text)) await new Promise((next) => socket.once('data', next));
    return said;
  };
  return { frontEnd, socket, asked, heard };
}
/** The error that writing to a connection ends with. */
async function writeError(socket: Socket): Promise<string | undefined> {
  const failed = new Promise<NodeJS.ErrnoException>((next) => socket.once('error', next));
  socket.write('help\n');
  return (await failed).code;
}

test('at the end every connection is closed, though the client stays', async () => {
  const { frontEnd, socket, heard } = await connect('stays');
  socket.write('one\n');
  await heard('<one>');
  const ended = new Promise<void>((next) => socket.once('end', next));
  frontEnd.end();
  await ended;
  expect(await writeError(socket)).toMatch(/^(EPIPE|ECONNRESET)$/);
});

test('a line that is too long is refused in its turn, and not asked', async () => {
  const { frontEnd, socket, heard, asked } = await connect('long');
  socket.write(`one\n${'€'.repeat(MAILBOX_TEXT / 2)}\n`);
  const bytes = (MAILBOX_TEXT / 2) * 3;
  await heard(`<one>\n(minivisor) Error: the line has ${bytes} bytes; give at most ${MAILBOX_TEXT}\n(minivisor) `);
  expect(asked).toEqual([3]);
  frontEnd.end();
  socket.destroy();
});

test('each connection chooses its machine for itself, and its prompt says which', async () => {
  const { frontEnd, socket, heard } = await connect('chooses', 2);
  const other = createConnection({ path: join(folder, 'chooses') });
  socket.write('vm 1\none\n');
  await heard('(minivisor vm0) (minivisor vm1) vm1: <one>\n(minivisor vm1) ');
  other.write('two\n');
  let said = '';
  while (!said.includes('two')) said += await new Promise<Buffer>((next) => other.once('data', next));
  expect(said).toContain('(minivisor vm0) vm0: <two>\n');
  frontEnd.end();
  socket.destroy();
  other.destroy();
});
