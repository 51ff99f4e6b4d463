/** A command that cannot be carried out: one sentence for who gave it. */
export class MonitorError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'MonitorError';
  }
}
