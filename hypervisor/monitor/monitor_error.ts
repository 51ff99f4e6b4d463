/** A command that cannot be carried out: one sentence for who gave it. */
export class MonitorError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'MonitorError';
  }
}

/** What `console_input` answers when there is no room: whoever types may try again. */
export const NOT_READ = 'the guest has not read what was typed before: let it run, and try again';
