/** The user's output cannot be written: no fault of the thread that tried, so nobody needs to hear of the thread. */
export class OutputError extends Error {
  /** @param code errno of the write */
  constructor(code: string) {
    super(`standard output: ${code}; the guest's console could not be written`);
    this.name = 'OutputError';
  }
}
