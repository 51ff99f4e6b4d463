#!/usr/bin/env node
// The command.
import { compile, load } from '../kernel/lib/typescript.js';

await compile();
const { main } = await load(new URL('./cli/main.ts', import.meta.url).href, true);
process.exitCode = await main(process.argv.slice(2));
