/**
 * The control plane between threads: comlink, with a handler that keeps what comlink drops from errors (errno,
 * condition codes, the failing task).
 */
import * as comlink from 'comlink';

interface ThrownValue {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  readonly fields: Record<string, unknown>;
}

/** Registers the error handler; every thread calls it once before it talks. */
export function registerTransferHandlers(): void {
  const original = comlink.transferHandlers.get('throw') as comlink.TransferHandler<unknown, unknown>;
  comlink.transferHandlers.set('throw', {
    canHandle: original.canHandle,
    serialize: (thrown) => [packError((thrown as { value: unknown }).value), []],
    deserialize: (packed) => {
      throw unpackError(packed as ThrownValue);
    },
  });
}

/** Plain data of an error: name, message, stack and its own enumerable fields (errno, code, cc, ...). */
export function packError(error: unknown): ThrownValue {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error), fields: {} };
  const fields: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(error))
    if (['number', 'string', 'boolean', 'bigint'].includes(typeof value)) fields[key] = value;
  return { name: error.name, message: error.message, stack: error.stack, fields };
}

/** The error again, on the other side. */
export function unpackError(packed: ThrownValue): Error {
  const error = new Error(packed.message);
  error.stack = packed.stack;
  return Object.assign(error, packed.fields, { name: packed.name });
}
