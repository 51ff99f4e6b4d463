/** What an explanation is made of: steps, each with what it shows, as plain data. */
import { decode, type Field } from './decode.ts';
import type { Manual } from './manual/manual.ts';

/** Who does something: the thread's role, and the words for it. */
export const ROLES = {
  vcpu: [
    'guest CPU',
    "the thread that runs the guest (a vCPU); KVM, the host kernel's part of a hypervisor, enters and leaves it",
  ],
  vmm: ['VMM', "the process that is the machine to the guest: QEMU's role"],
  kernel: ['kernel', "the host's kernel: Linux's role"],
  iop: ['I/O processor', 'hardware that fetches and performs channel programs'],
  elo: ['DMA engine', 'hardware that copies memory on behalf of a device'],
} as const;
export type Role = keyof typeof ROLES;

/** A structure with its bytes. */
export interface Structure {
  readonly kind: 'structure';
  readonly name: string;
  readonly title: string;
  readonly source: string;
  /** `guest-physical 0x1fadc`. */
  readonly place: string;
  readonly order: 'big-endian' | 'little-endian';
  readonly fields: readonly Field[];
  /** Fields that are not shown. */
  readonly left: number;
}
/** Rows of text. */
export interface Rows {
  readonly kind: 'rows';
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}
export type Shown = Structure | Rows;

/** A structure, decoded. @param only the fields to show */
export function structure(manual: Manual, bytes: Uint8Array, place: string, only?: readonly string[]): Structure {
  const { name, title, source, layout } = manual;
  const fields = decode(manual, bytes, only);
  const left = only === undefined ? 0 : Object.keys(layout.fields).length - only.length;
  const order = layout.endian === 'be' ? 'big-endian' : 'little-endian';
  return { kind: 'structure', name, title, source, place, order, fields, left };
}

/** How long a step took, from the end of the steps above it. */
export interface Took {
  /** Median, ns. */
  readonly ns: number;
  /** Times it was measured. */
  readonly samples: number;
}

export interface Step {
  /** Name of the step: `Q4`. */
  readonly id: string;
  readonly role: Role;
  readonly title: string;
  readonly text: string;
  readonly shown: readonly Shown[];
  /** Undefined where it was not measured; the first step begins the time. */
  readonly took?: Took;
}

export interface Story {
  /** `ccw-read`, with the side of the argument. */
  readonly name: string;
  readonly title: string;
  /** Paragraphs before the steps. */
  readonly intro: readonly string[];
  readonly steps: readonly Step[];
  /** Paragraphs after them. */
  readonly closing: readonly string[];
}

export const hex = (value: number | bigint): string => `0x${value.toString(16)}`;
/** `guest-physical 0x1fadc`. */
export const guestPlace = (address: number): string => `guest-physical ${hex(address)}`;
export const userPlace = (address: number): string => `VMM address ${hex(address)}`;
export const hostPlace = (address: number): string => `host-physical ${hex(address)}`;

/** A story as plain JSON values: bytes and 64-bit numbers as hexadecimal text. */
export function storyJson({ steps, ...story }: Story) {
  return {
    ...story,
    steps: steps.map((step, i) => ({
      number: i + 1,
      ...step,
      who: ROLES[step.role][0],
      shown: step.shown.map(shownJson),
    })),
  };
}

function shownJson(shown: Shown) {
  if (shown.kind === 'rows') return shown;
  return {
    ...shown,
    fields: shown.fields.map(({ bytes, value, parts, ...field }) => ({
      ...field,
      bytes: Buffer.from(bytes).toString('hex'),
      ...(value === undefined ? {} : { value: hex(value) }),
      parts: parts.map((part) => ({ ...part, value: hex(part.value) })),
    })),
  };
}
