// The command. Node before 22.18 needs tsx to load TypeScript; see kernel/lib/typescript.js.
import '../../kernel/lib/typescript.js';

await import('./main.ts');
