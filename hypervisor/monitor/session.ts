/**
 * One user of the monitor, on the main thread: says which virtual machine each line goes to. A line that begins with
 * `vm1: ` goes to machine 1, any other one to the machine that `vm N` has chosen, as QEMU's `cpu` chooses a CPU for one
 * monitor. What is not about a single machine is answered here, so that it is answered whichever of them has ended.
 */
import type { MailboxAnswer, MailboxClient } from '../../kernel/lib/monitor_mailbox.ts';
import { vmName } from '../vms.ts';
import { addressee, vmNumber } from './addressee.ts';
import { MonitorError } from './monitor_error.ts';
import { type VmRow, vmsTable } from './vms_table.ts';

/** The virtual machines that a monitor reaches. */
export interface MonitoredVms {
  /** Of each machine, by number. */
  readonly mailboxes: readonly Pick<MailboxClient, 'ask' | 'ended'>[];
  /** The machines as they are now. */
  rows(): readonly VmRow[];
  /** The run of all of them is over. */
  ended(): boolean;
}

/** Told of a machine where others go on. */
const HAS_ENDED = 'the machine has ended';
const OTHERS = 'info vms lists all, vm N chooses another one';

export class MonitorSession {
  readonly #vms: MonitoredVms;
  #current = 0;

  constructor(vms: MonitoredVms) {
    this.#vms = vms;
  }

  /** What a line is asked for with: of several machines it names the one that the line will go to. */
  get prompt(): string {
    return this.#several ? `(minivisor ${vmName(this.#current)}) ` : '(minivisor) ';
  }
  get #several(): boolean {
    return this.#vms.mailboxes.length > 1;
  }

  /** The answer to a line, of several machines with the machine's name before each line; undefined when the run has ended. */
  async ask(line: string): Promise<MailboxAnswer | undefined> {
    try {
      const { vm = this.#current, command } = addressee(line, this.#vms.mailboxes.length);
      const own = this.#own(command.trim().split(/\s+/));
      return own === undefined ? await this.#pass(vm, command) : { text: own, cut: false };
    } catch (error) {
      if (!(error instanceof MonitorError)) throw error;
      return { text: `Error: ${error.message}\n`, cut: false };
    }
  }

  /** Answers what is not a machine's to answer; undefined when it is. @throws MonitorError */
  #own([name, word, ...more]: readonly string[]): string | undefined {
    if (name === 'info' && word === 'vms' && more.length === 0)
      return vmsTable(this.#vms.rows(), this.#several ? this.#current : undefined);
    if (name !== 'vm') return undefined;
    if (more.length > 0) throw new MonitorError(`vm: unexpected '${more[0]}': vm [N]`);
    if (word === undefined) return `${vmName(this.#current)}\n`;
    this.#current = vmNumber(word, this.#vms.mailboxes.length);
    return '';
  }

  async #pass(vm: number, command: string): Promise<MailboxAnswer | undefined> {
    const mailbox = this.#vms.mailboxes[vm];
    if (!this.#several) return await mailbox.ask(command);
    const late = mailbox.ended;
    const answer = await mailbox.ask(command);
    if (answer === undefined && this.#vms.ended()) return undefined;
    if (late) return { text: labelled(vm, `Error: ${HAS_ENDED}; ${OTHERS}\n`), cut: false };
    // By this command, as a rule, whose answer may be lost then: the others go on, and so does the monitor.
    const end = mailbox.ended ? `${HAS_ENDED}\n` : '';
    return { text: labelled(vm, (answer?.text ?? '') + end), cut: answer?.cut ?? false };
  }
}

/** Lines with the machine's name before each. */
function labelled(vm: number, text: string): string {
  return text.replace(/^(?=.|\n)/gm, `${vmName(vm)}: `);
}
