import { MessageChannel } from 'node:worker_threads';
import * as comlink from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import { afterAll, expect, test } from 'vitest';
import { Errno } from '../include/uapi/errno.ts';
import { TaskFailure } from './threaded.ts';
import { registerTransferHandlers } from './transfer.ts';

class Refusal extends Error {
  readonly cc = 2;
  readonly big = 2n ** 60n;
  readonly fatal = false;
  readonly unsendable = () => 1;
}

const THROWN = {
  errno: () => new Errno('EBUSY', 'VFIO_GROUP_SET_CONTAINER'),
  refusal: () => new Refusal('no'),
  failure: () => new TaskFailure('kernel', 'syscall', new Errno('EIO')),
  text: () => 'just a string',
  nothing: () => undefined,
};

registerTransferHandlers();
registerTransferHandlers();
const { port1, port2 } = new MessageChannel();
comlink.expose(
  {
    fail(kind: keyof typeof THROWN): never {
      throw THROWN[kind]();
    },
    fine: (n: number) => n + 1,
  },
  nodeEndpoint(port1),
);
const remote = comlink.wrap<{ fail(kind: keyof typeof THROWN): never; fine(n: number): number }>(nodeEndpoint(port2));
afterAll(() => {
  port1.close();
  port2.close();
});

const caught = async (kind: keyof typeof THROWN): Promise<unknown> => {
  try {
    await remote.fail(kind);
  } catch (error) {
    return error;
  }
};

test('an errno keeps its number, name and text on the other side', async () => {
  const error = await caught('errno');
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({
    name: 'Errno',
    errno: 16,
    code: 'EBUSY',
    message: 'VFIO_GROUP_SET_CONTAINER: EBUSY: Device or resource busy',
  });
  expect((error as Error).stack).toContain('transfer.test.ts');
});

test('condition codes and other plain fields survive, what cannot be sent is left out', async () => {
  const error = await caught('refusal');
  expect(error).toMatchObject({ cc: 2, big: 2n ** 60n, fatal: false, message: 'no' });
  expect(error).not.toHaveProperty('unsendable');
});

test('a failed task still names its thread', async () => {
  expect(await caught('failure')).toMatchObject({
    name: 'TaskFailure',
    message: 'thread kernel, task syscall: EIO: Input/output error',
  });
});

test('thrown values that are no errors arrive as errors, and plain results are untouched', async () => {
  expect(await caught('text')).toMatchObject({ name: 'Error', message: 'just a string' });
  expect(await caught('nothing')).toMatchObject({ name: 'Error', message: 'undefined' });
  expect(await remote.fine(1)).toBe(2);
});
