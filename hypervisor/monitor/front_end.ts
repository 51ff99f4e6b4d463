/**
 * The monitor's user side, on the main thread: lines from standard input or a socket go to a VMM one at a time, and its
 * answers come back with a prompt, as QEMU's human monitor has it. Each connection is a session of its own.
 */
import { unlinkSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { createInterface, type Interface } from 'node:readline';
import { after } from '../../kernel/lib/host_timer.ts';
import { MAILBOX_TEXT, type MailboxAnswer } from '../../kernel/lib/monitor_mailbox.ts';
import { UserError } from '../user_error.ts';
import type { MonitorPlace } from './place.ts';
import { type MonitoredVms, MonitorSession } from './session.ts';

/** Milliseconds that a client has to read what was written, once the machine has ended. */
const FLUSH_MS = 500;
const BANNER = "minivisor monitor - type 'help' for more information\n";

/** Something that gives lines and shows text. */
interface Terminal {
  readonly input: NodeJS.ReadableStream;
  readonly write: (text: string) => void;
  /** Somebody sits there: a prompt is of use. */
  readonly prompt: boolean;
  /** No line comes any more, and all are answered. */
  readonly done?: () => void;
}

export class MonitorFrontEnd {
  readonly #vms: MonitoredVms;
  readonly #readers = new Set<Interface>();
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #path: string | undefined;

  constructor(vms: MonitoredVms) {
    this.#vms = vms;
  }

  /** Begins to listen. @throws UserError when the socket cannot be made */
  async start(place: MonitorPlace): Promise<void> {
    if (place.kind === 'unix') return await this.#listen(place.path);
    const write = (text: string) => process.stdout.write(text);
    this.#serve({ input: process.stdin, write, prompt: process.stdin.isTTY === true });
  }

  /** The machine has ended: nobody is heard any more. */
  end(): void {
    for (const reader of this.#readers) reader.close();
    for (const socket of this.#sockets) hangUp(socket);
    this.#server?.close();
    if (this.#path !== undefined) removeSocket(this.#path);
    // A terminal that is still open would keep the process.
    process.stdin.unref?.();
  }

  async #listen(path: string): Promise<void> {
    // A client that has sent its last line still wants the answer.
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => socket.destroy());
      this.#serve({ input: socket, write: (text) => socket.write(text), prompt: true, done: () => socket.end() });
    });
    this.#server = server;
    await new Promise<void>((listening, failed) => {
      server.once('error', (error) =>
        failed(new UserError(`--monitor unix:${path}: ${(error as NodeJS.ErrnoException).code}; ${advice(error)}`)),
      );
      server.listen(path, listening);
    });
    this.#path = path;
  }

  #serve({ input, write, prompt, done = () => {} }: Terminal): void {
    const reader = createInterface({ input });
    this.#readers.add(reader);
    const session = new MonitorSession(this.#vms);
    const ready = () => {
      if (prompt) write(session.prompt);
    };
    if (prompt) write(BANNER);
    ready();
    let last: Promise<void> = Promise.resolve();
    reader.on('line', (line) => {
      last = last.then(async () => {
        const answer = await answerTo(session, line);
        if (answer === undefined) return;
        write(answer.text);
        if (answer.cut) write('(the rest is too long to be shown)\n');
        ready();
      });
    });
    reader.on('close', () => {
      this.#readers.delete(reader);
      void last.then(done);
    });
  }
}

/** A line that the mailbox cannot hold as a whole is refused. */
async function answerTo(session: MonitorSession, line: string): Promise<MailboxAnswer | undefined> {
  const bytes = Buffer.byteLength(line);
  if (bytes <= MAILBOX_TEXT) return await session.ask(line);
  return { text: `Error: the line has ${bytes} bytes; give at most ${MAILBOX_TEXT}\n`, cut: false };
}

/** Ends a connection, whether the client hangs up or not: what was written goes out first, if the client takes it. */
function hangUp(socket: Socket): void {
  // The process does not wait for it.
  socket.unref();
  socket.destroySoon();
  if (!socket.destroyed)
    socket.once(
      'close',
      after(FLUSH_MS, () => socket.destroy()),
    );
}

function advice(error: Error): string {
  return (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
    ? 'something is there already: remove it, or give another path'
    : 'give a path where a socket can be made';
}

function removeSocket(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    // Closing the server removes it as a rule.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
