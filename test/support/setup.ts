/** Before each file of tests: threads load compiled modules, as they do in the command. */
import { compile } from '../../kernel/lib/typescript.js';

await compile();
