// Worker threads start here.
import { load } from './typescript.js';

await load(new URL('./worker.ts', import.meta.url).href);
