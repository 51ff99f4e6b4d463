// The command.
import { compile, load } from '../../kernel/lib/typescript.js';

await compile();
await load(new URL('./main.ts', import.meta.url).href, true);
