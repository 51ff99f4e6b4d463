// Pool threads (hardware actors, independent simulated runs) start here.
import './typescript.js';

const { default: run } = await import('./hardware_task.ts');
export default run;
