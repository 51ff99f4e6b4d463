// Makes `import` of .ts files work in this thread. Newer versions of Node do it themselves.
if (!process.features.typescript) {
  const { register } = await import('tsx/esm/api');
  register();
}
