import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { delay } from '../../kernel/lib/host_timer.ts';
import type { MailboxClient } from '../../kernel/lib/monitor_mailbox.ts';
import { ConsoleFrontEnd } from './console_front_end.ts';
import { NOT_READ } from './monitor_error.ts';

/** Types `input` at a monitor that gives these answers in turn, and then none; what it was asked. */
async function typed(input: string, answers: readonly string[]): Promise<string[]> {
  const asked: string[] = [];
  const ask = async (line: string) => {
    asked.push(line);
    return { text: answers[asked.length - 1] ?? '' };
  };
  const front = new ConsoleFrontEnd({ ask } as unknown as MailboxClient);
  const stream = new PassThrough();
  front.start(stream);
  stream.end(input);
  await delay(150);
  front.end();
  return asked;
}

test('a line is typed again while the guest has no room, and then no more', async () => {
  expect(await typed('one\ntwo\n', [NOT_READ, `Error: ${NOT_READ}\n`])).toEqual([
    'console_input one',
    'console_input one',
    'console_input one',
    'console_input two',
  ]);
});

test('an answer that says something else does not have the line typed twice', async () => {
  expect(await typed('one\n', ['console_input goes on\n'])).toEqual(['console_input one']);
});

test('a line longer than the guest can ever be given is left out, and the next one typed', async () => {
  expect(await typed(`${'x'.repeat(5000)}\nnext\n`, [])).toEqual(['console_input next']);
});
