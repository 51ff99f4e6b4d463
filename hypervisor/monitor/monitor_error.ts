/** A command that cannot be carried out: one sentence for who gave it. */
export class MonitorError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'MonitorError';
  }
}

/** What `vm` answers where each command comes by itself. */
export const NO_SESSION = 'vm: chooses for lines that are typed; begin the command with the machine instead: vm1: stop';

/** What `console_input` answers when there is no room: whoever types may try again. */
export const NOT_READ = 'the guest has not read what was typed before: let it run, and try again';
