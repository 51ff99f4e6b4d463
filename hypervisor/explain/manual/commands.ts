/** Channel commands by code, as people call them (SA22-7832 chapter 15; SC26-7445 for those of a 3390 control unit). */
export const CHANNEL_COMMANDS: Readonly<Record<number, string>> = {
  1: 'WRITE',
  2: 'READ',
  3: 'CONTROL NO-OPERATION',
  4: 'BASIC SENSE',
  8: 'TRANSFER IN CHANNEL: go on with the CCW at the address',
  71: 'LOCATE RECORD: which record on which track',
  99: 'DEFINE EXTENT: which tracks may be touched, and how',
  100: 'READ DEVICE CHARACTERISTICS',
  133: 'WRITE DATA, multitrack',
  134: 'READ DATA, multitrack: the data area of the record that was located',
  228: 'SENSE ID',
  250: 'READ CONFIGURATION DATA',
};
