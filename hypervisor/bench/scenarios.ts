/** What can be measured, one row each. */
import { bind } from './bind.ts';
import { ccw } from './ccw.ts';
import { ccwApi } from './ccw_api.ts';
import { ccwTranslate } from './ccw_translate.ts';
import { groups } from './groups.ts';
import { growth } from './growth.ts';
import { haltClear } from './halt_clear.ts';
import { hcalls } from './hcalls.ts';
import { mips } from './mips.ts';
import { net } from './net.ts';
import { pamu } from './pamu.ts';
import type { Scenario } from './scenario.ts';
import { ssch } from './ssch.ts';
import { start } from './start.ts';
import { tce } from './tce.ts';
import { traceCost } from './trace_cost.ts';
import { wire } from './wire.ts';

export const SCENARIOS: readonly Scenario[] = [
  { name: 'tce', summary: 'H_PUT_TCE in each tier beside the two- and three-party floors', seconds: 6, run: tce },
  {
    name: 'hcalls',
    summary: 'each TCE hypercall in each tier, per call and per TCE, 512 of them where one call takes many',
    long: true,
    seconds: 20,
    run: hcalls,
  },
  {
    name: 'groups',
    summary: 'H_PUT_TCE in real mode with 1 to 16 groups in the container',
    seconds: 1,
    run: groups,
  },
  {
    name: 'bind',
    summary: 'a LIOBN bound to 1 to 16 groups and unbound again, by each side of --tce-bind',
    seconds: 4,
    run: (context) => bind(context),
  },
  {
    name: 'net',
    summary: 'frames through the NIC, mapped packet by packet in each tier, and in one big window',
    long: true,
    seconds: 20,
    run: net,
  },
  {
    name: 'wire',
    summary: 'frames between two guests at the ends of a cable, both ways at once, mapped in each way',
    seconds: 8,
    run: (context) => wire(context),
  },
  {
    name: 'ssch',
    summary: 'SSCH to interruption with a zero-latency device beside the bare chain of hand-offs',
    seconds: 4,
    run: ssch,
  },
  {
    name: 'ccw',
    summary: 'the same step by step, no-operation and 4K read, in both designs of --ccw-api',
    seconds: 12,
    run: ccw,
  },
  {
    name: 'ccw-translate',
    summary: 'translation of channel programs of 1, 16 and 255 CCWs, and what pinning costs',
    seconds: 8,
    run: ccwTranslate,
  },
  {
    name: 'ccw-api',
    summary: 'reads a second from 1 and 4 devices of 0, 100 us and 1 ms, in both designs of --ccw-api',
    long: true,
    seconds: 25,
    run: ccwApi,
  },
  {
    name: 'halt-clear',
    summary: 'HSCH and CSCH of a program on a slow device, with the command region and where they are pretended',
    seconds: 20,
    long: true,
    run: (context) => haltClear(context),
  },
  {
    name: 'pamu',
    summary: 'RAM and MSI banks behind type1 and behind PAMUs: ioctls, tables, set-up, an access, a violation',
    long: true,
    seconds: 25,
    run: pamu,
  },
  {
    name: 'trace',
    summary: 'what trace points cost, off and on, beside SSCH and H_PUT_TCE',
    long: true,
    seconds: 15,
    run: traceCost,
  },
  { name: 'mips', summary: 'guest instructions a second on the integer loop', seconds: 1, run: mips },
  { name: 'start', summary: 'time to the first guest instruction, whole boot, peak memory', seconds: 5, run: start },
  {
    name: 'growth',
    summary: 'memory over a million hypercalls and 100,000 I/Os',
    long: true,
    seconds: 30,
    run: growth,
  },
];
