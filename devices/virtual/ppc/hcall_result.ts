/** Answer to a hypercall: the return code (signed) and the values for the registers after it. */
export interface HcallResult {
  readonly ret: bigint;
  readonly out: readonly bigint[];
}
