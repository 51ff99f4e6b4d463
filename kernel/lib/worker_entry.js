// Worker threads start here: Node before 22.18 needs tsx to load TypeScript, later versions strip types themselves.
import './typescript.js';

await import('./worker.ts');
