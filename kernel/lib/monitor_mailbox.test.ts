import { expect, test } from 'vitest';
import { createMemory, HostMemory } from './host_memory.ts';
import { MAILBOX_SIZE, MAILBOX_TEXT, MailboxClient, MailboxServer } from './monitor_mailbox.ts';
import { Simulation } from './simulated.ts';
import type { Task } from './task.ts';

const BASE = 0x1000;
/** Both ends; every ring of the doorbell lets the server run as far as it can. */
function mailbox(answer: (line: string) => string) {
  const memory = new HostMemory(createMemory(BASE + MAILBOX_SIZE));
  const simulation = new Simulation(1);
  const server = new MailboxServer(memory, BASE);
  const lines: string[] = [];
  simulation.actor('vmm').spawn(
    'monitor',
    (function* (): Task {
      for (;;) {
        const line = yield* server.next();
        lines.push(line);
        server.answer(answer(line));
      }
    })(),
  );
  let rings = 0;
  const state = { ended: false };
  const ring = () => {
    const before = lines.length;
    rings++;
    simulation.run(() => lines.length > before, 100);
  };
  return { client: new MailboxClient(memory, BASE, ring, () => state.ended), lines, state, rings: () => rings };
}

test('a line goes there and its answer comes back, one ring each', async () => {
  const { client, lines, rings } = mailbox((line) => `<${line}>`);
  expect(await client.ask('info status')).toEqual({ text: '<info status>', cut: false });
  expect(await client.ask('änderung €')).toEqual({ text: '<änderung €>', cut: false });
  expect([lines, rings()]).toEqual([['info status', 'änderung €'], 2]);
});

test('questions that are asked at once are answered one after the other', async () => {
  const { client, lines } = mailbox((line) => line);
  const answers = await Promise.all(['a', 'b', 'c'].map((line) => client.ask(line)));
  expect(answers.map((answer) => answer?.text)).toEqual(['a', 'b', 'c']);
  expect(lines).toEqual(['a', 'b', 'c']);
});

test('an answer that does not fit is cut at a character, and says so', async () => {
  const { client } = mailbox(() => `x${'€'.repeat(MAILBOX_TEXT)}`);
  const answer = await client.ask('long');
  expect(answer?.cut).toBe(true);
  expect(answer?.text.length).toBe(1 + Math.floor((MAILBOX_TEXT - 1) / 3));
  expect(answer?.text.endsWith('€')).toBe(true);
});

test('nobody waits for an answer of a machine that has ended', async () => {
  const memory = new HostMemory(createMemory(BASE + MAILBOX_SIZE));
  let looks = 0;
  const client = new MailboxClient(
    memory,
    BASE,
    () => {},
    () => looks++ > 2,
  );
  expect(await client.ask('quit')).toBeUndefined();
  expect(await client.ask('help')).toBeUndefined();
});
