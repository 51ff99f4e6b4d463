/** A guest that is never done, in machine code. */

/**
 * Enables subchannel 0 and reads its IPL record for ever: SSCH, enabled wait, TSCH. A machine check: STCRW until there is
 * no report, STSCH after each; then the subchannel is enabled and started again, if there is one.
 */
export const READER = [
  'c0c00000003cd20f01e0c000d20f01f0c010eb66c030002febeec038002fc01100010000b234c058a774000c9101c05d',
  'a78400089680c05db232c058b233c040b2b2c020c0c00000001ab239c054a774ffe8c01100010000b234c058a7f4fff7',
  'c0c00000000cc01100010000b235c08ca7f4ffd707070707000000018000000000000000000100440000000180000000',
  '00000000000100600206000180000000000000000000000000000000ff00000000000000100000000000cafe00c0ff00',
  '000100c40220001800020000',
].join('');
