/** Compiles what has changed; every thread started from now on loads the compiled modules. */
export function compile(): Promise<void>;
/** Imports a module by the URL of its source. @param compiled false in the main thread of the tests */
export function load(url: string, compiled?: boolean): Promise<unknown>;
