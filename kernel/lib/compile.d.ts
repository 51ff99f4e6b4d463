/** URLs of compiled modules by the URL of their source. @throws when they cannot be made */
export function compiledModules(): Promise<Record<string, string>>;
