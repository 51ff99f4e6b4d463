// Pool threads (hardware actors, floors, independent simulated runs) start here: `{ module, call, argument }` names an
// exported function and its argument.
import { load } from './typescript.js';

export default async function run({ module, call, argument }) {
  const exported = await load(module);
  return await exported[call](argument);
}
