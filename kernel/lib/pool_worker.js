// Pool threads (hardware actors, floors, independent simulated runs) start here: `{ module, call, argument }` names an
// exported function and its argument.
import './typescript.js';

export default async function run({ module, call, argument }) {
  const exported = await import(module);
  return await exported[call](argument);
}
