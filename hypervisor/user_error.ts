/** A mistake in what the user gave: shown as one line, without a stack; exit status 1. */
export class UserError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UserError';
  }
}
