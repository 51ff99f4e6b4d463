/**
 * Tables of numbers by name that are read in every hot path. An object that grew name by name is a hash table to V8, once
 * it has more than a dozen of them, and a look into it a call; the value of an object literal is a constant to its compiler.
 */
export function constants<K extends string>(table: Readonly<Record<K, number>>): Readonly<Record<K, number>> {
  return new Function(`return ${JSON.stringify(table)};`)() as Readonly<Record<K, number>>;
}
