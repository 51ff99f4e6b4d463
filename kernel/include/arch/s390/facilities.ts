/**
 * Facilities of the machine (STFLE bit numbers; SA22-7832 chapter 4, "Facility Indications"): what its CPUs report, and
 * what KVM goes by when it reaches a guest's storage itself.
 */
export const FACILITY = {
  N3: 0,
  ZARCH: 1,
  ZARCH_ACTIVE: 2,
  STFLE: 7,
  EDAT_1: 8,
  CONDITIONAL_SSKE: 10,
  NONQUIESCING_KEY_SETTING: 14,
  LONG_DISPLACEMENT: 18,
  EXTENDED_IMMEDIATE: 21,
  STORE_CLOCK_FAST: 25,
  GENERAL_INSTRUCTIONS: 34,
  EXECUTE_EXTENSIONS: 35,
  /** Distinct operands and the rest of what z196 brought. */
  DISTINCT_OPERANDS: 45,
  RESET_REFERENCE_BITS_MULTIPLE: 66,
  EDAT_2: 78,
} as const;

/** What the CPUs of machine `toy` have: all of the above. */
export const TOY_FACILITIES: readonly number[] = Object.values(FACILITY);
