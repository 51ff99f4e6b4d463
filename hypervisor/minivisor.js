#!/usr/bin/env node
// The command. Node before 22.18 needs tsx to load TypeScript; see kernel/lib/typescript.js.
import '../kernel/lib/typescript.js';

const { main } = await import('./cli/main.ts');
process.exitCode = await main(process.argv.slice(2));
