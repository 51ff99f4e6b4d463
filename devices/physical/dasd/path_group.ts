/**
 * Path groups and the reservation of a device: what a control unit remembers of its channel paths until it is reset
 * (vfio-ccw facts 5.1; checks as in Hercules `ckddasd.c`; states as in Linux `drivers/s390/cio/device_pgid.c`).
 */
import { MESSAGE, reject } from './sense.ts';

/** Bytes of a path-group identifier. */
export const PGID_SIZE = 11;

/** Path states, bits 0-1 of the state byte. */
const PATH_STATE = { RESET: 0x00, UNGROUPED: 0x80, GROUPED: 0xc0 } as const;
/** Partition states, bits 2-3. */
const PARTITION = { ENABLED: 0x00, ELSEWHERE: 0x20, SELF: 0x30 } as const;
/** The group works in multipath mode. */
const MULTIPATH_STATE = 0x08;

/** Function byte of Set Path Group ID. */
const FUNCTION = { MULTIPATH: 0x80, MASK: 0x60, ESTABLISH: 0x00, DISBAND: 0x20, RESIGN: 0x40, ZERO: 0x1f } as const;

interface Path {
  state: number;
  id: Uint8Array;
  multipath: boolean;
}

const NO_ID = new Uint8Array(PGID_SIZE);
const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

export class PathGroups {
  /** By path mask, one bit. */
  readonly #paths = new Map<number, Path>();
  /** Paths for which the device is reserved; 0 when it is not. */
  #reserved = 0;

  /** Path state and identifier as Sense Path Group ID gives them, 12 bytes. */
  sense(path: number): Uint8Array {
    const { state, id, multipath } = this.#path(path);
    return Uint8Array.of(state | this.#partition(path) | (multipath ? MULTIPATH_STATE : 0), ...id);
  }

  /**
   * Set Path Group ID. The first identifier a path is given stays its own until the path is reset.
   * @param parameter function byte and identifier. @throws UnitCheck
   */
  set(path: number, parameter: Uint8Array): void {
    const [code] = parameter;
    const id = parameter.slice(1);
    const here = this.#path(path);
    const bad = (reason: string) => reject(`Set Path Group ID: ${reason}`, MESSAGE.INVALID_PARAMETER);
    if ((code & FUNCTION.ZERO) !== 0) throw bad('reserved bits');
    if (same(id, NO_ID)) throw bad('no identifier');
    if (here.state !== PATH_STATE.RESET && !same(here.id, id)) throw bad('another identifier');
    const group = [...this.#paths.values()].filter((other) => other.state === PATH_STATE.GROUPED && same(other.id, id));
    const multipath = (code & FUNCTION.MULTIPATH) !== 0;
    switch (code & FUNCTION.MASK) {
      case FUNCTION.ESTABLISH:
        if (group.some((other) => other !== here && other.multipath !== multipath)) throw bad('another mode');
        Object.assign(here, { state: PATH_STATE.GROUPED, id, multipath });
        break;
      case FUNCTION.DISBAND:
        for (const other of [...group, here]) ungroup(other, id);
        break;
      case FUNCTION.RESIGN:
        ungroup(here, id);
        break;
      default:
        throw bad('unknown function');
    }
  }

  /** The device belongs to this path, and to its group when that works in multipath mode. Nobody else is there to object. */
  reserve(path: number): void {
    this.#reserved = this.#together(path);
  }

  release(): void {
    this.#reserved = 0;
  }

  /** Whether a reservation is in force. */
  get reserved(): boolean {
    return this.#reserved !== 0;
  }

  #path(path: number): Path {
    let found = this.#paths.get(path);
    if (found === undefined) {
      found = { state: PATH_STATE.RESET, id: NO_ID, multipath: false };
      this.#paths.set(path, found);
    }
    return found;
  }

  #partition(path: number): number {
    if (this.#reserved === 0) return PARTITION.ENABLED;
    return (this.#reserved & path) !== 0 ? PARTITION.SELF : PARTITION.ELSEWHERE;
  }

  /** Paths that count as one with this: the members of its multipath group. */
  #together(path: number): number {
    const here = this.#path(path);
    if (!here.multipath) return path;
    let mask = path;
    for (const [bit, other] of this.#paths) if (other.multipath && same(other.id, here.id)) mask |= bit;
    return mask;
  }
}

function ungroup(path: Path, id: Uint8Array): void {
  Object.assign(path, { state: PATH_STATE.UNGROUPED, id, multipath: false });
}
