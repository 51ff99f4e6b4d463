/** Makes vectors.json: `npx tsx test/conformance/make_vectors.ts`. Needs qemu-system-s390x and the s390x GNU binutils and gcc. */
import { writeFileSync } from 'node:fs';
import { type Case, makeCases } from './cases.ts';
import { BRANCH_FAMILIES } from './families/branches.ts';
import { FP_FAMILIES } from './families/fp.ts';
import { KEY_FAMILIES } from './families/keys.ts';
import { MULTIPLY_FAMILIES } from './families/multiply.ts';
import { REGISTER_FAMILIES } from './families/registers.ts';
import { STORAGE_FAMILIES } from './families/storage.ts';
import { STRING_FAMILIES } from './families/strings.ts';
import { CC_SHIFT, PM_SHIFT, PSW_MASK_31, PSW_MASK_64, SLOT } from './layout.ts';
import { assemble, type Outcome, QEMU_CPU, runQemu, versions } from './qemu.ts';
import { before, difference, type Form, instructionLength, type Side, type VectorFile } from './vectors.ts';

const SEED = 'minivisor conformance 1';
/** Operation exception: what ends every case that went well, on the zeros of the zone (SA22-7832 chapter 6). */
const OPERATION = 1;

function inputSide({ input }: Case): Side {
  const side: Side = {};
  for (const [n, v] of Object.entries(input.r ?? {})) side[`r${n}`] = BigInt.asUintN(64, v).toString(16);
  for (const [n, v] of Object.entries(input.f ?? {})) side[`f${n}`] = v.toString(16);
  for (const [address, hex] of Object.entries(input.mem ?? {})) side[`m${Number(address).toString(16)}`] = hex;
  if (input.cc) side.cc = input.cc;
  if (input.pm) side.pm = input.pm;
  if (input.amode) side.amode = input.amode;
  return side;
}

/** The output side, or undefined when QEMU does not know the instruction. */
function outputSide(input: Side, code: Uint8Array, outcome: Outcome): Side | undefined {
  const { machine } = outcome;
  const start = before(input);
  const side = difference(start, machine);
  const length = instructionLength(code[0]!);
  if (outcome.code === OPERATION) {
    // On the zeros its length is 2; the first instruction, or one of a sequence, may be what QEMU does not know.
    if (outcome.ilc !== 2 || machine.address === BigInt(SLOT + 2)) return undefined;
    machine.address -= 2n;
    if (machine.address !== BigInt(SLOT + length)) side.next = machine.address.toString(16);
  } else {
    side.pgm = outcome.code.toString(16);
    side.ilc = outcome.ilc;
    // Data exception: byte 3 of the word at real 144 has its code.
    if (outcome.code === 7) side.dxc = outcome.dxc.toString(16);
    if (machine.address !== BigInt(SLOT + length)) side.next = machine.address.toString(16);
  }
  const cc = Number((machine.pswMask >> CC_SHIFT) & 3n);
  const pm = Number((machine.pswMask >> PM_SHIFT) & 15n);
  const mode = machine.pswMask & PSW_MASK_64;
  const amode = mode === PSW_MASK_64 ? 64 : mode === PSW_MASK_31 ? 31 : 24;
  if (cc !== (input.cc ?? 0)) side.cc = cc;
  if (pm !== (input.pm ?? 0)) side.pm = pm;
  if (amode !== (input.amode ?? 64)) side.amode = amode;
  if (machine.fpc) side.fpc = machine.fpc.toString(16);
  return side;
}

/** JSON with one case a line. */
function render(file: VectorFile): string {
  const groups = Object.entries(file.vectors).map(([mnemonic, forms]) => {
    const list = forms.map((form) => {
      const cases = form.cases.map((c) => JSON.stringify(c)).join(',\n');
      return `{"asm":${JSON.stringify(form.asm)},"code":"${form.code}","cases":[\n${cases}]}`;
    });
    return `"${mnemonic}":[\n${list.join(',\n')}]`;
  });
  const { vectors: _, ...head } = file;
  return `${JSON.stringify(head).slice(0, -1)},"vectors":{\n${groups.join(',\n')}}}\n`;
}

function main(): void {
  const families = [
    ...REGISTER_FAMILIES,
    ...STORAGE_FAMILIES,
    ...MULTIPLY_FAMILIES,
    ...BRANCH_FAMILIES,
    ...STRING_FAMILIES,
    ...FP_FAMILIES,
    ...KEY_FAMILIES,
  ];
  const cases = makeCases(families, SEED);
  const texts = [...new Set(cases.map((c) => c.asm))];
  const codes = new Map(assemble(texts).map((code, n) => [texts[n]!, code]));
  const inputs = cases.map(inputSide);
  const outcomes = runQemu(
    inputs.map(before),
    cases.map((c) => codes.get(c.asm)!),
  );
  const vectors: Record<string, Form[]> = {};
  const dropped = new Set<string>();
  let count = 0;
  cases.forEach((c, n) => {
    const code = codes.get(c.asm)!;
    const output = outputSide(inputs[n]!, code, outcomes[n]!);
    if (!output) {
      dropped.add(c.asm);
      return;
    }
    vectors[c.mnemonic] ??= [];
    const forms = vectors[c.mnemonic]!;
    let form = forms.find((f) => f.asm === c.asm);
    if (!form) {
      form = { asm: c.asm, code: Buffer.from(code).toString('hex'), cases: [] };
      forms.push(form);
    }
    form.cases.push([inputs[n]!, output]);
    count++;
  });
  const missing = families.flatMap((f) => f.mnemonics).filter((m) => !vectors[m]);
  const { qemu, assembler } = versions();
  const file: VectorFile = {
    format: 'z/Architecture instruction vectors 1',
    made: { qemu, cpu: QEMU_CPU, assembler, seed: SEED, cases: count },
    notInOracle: missing,
    vectors,
  };
  const text = render(file);
  writeFileSync(new URL('vectors.json', import.meta.url), text);
  console.log(
    `${Object.keys(vectors).length} mnemonics, ${count} cases, ${text.length} bytes; operation exceptions: ${[...dropped].join('; ')}`,
  );
}

main();
