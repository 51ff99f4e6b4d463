/** What keeps a file from being read or written, in words. */
const WORDS: Readonly<Record<string, string>> = {
  EISDIR: 'is a directory',
  ENOTDIR: 'a part of the path is no directory',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space left',
};

function inWords(error: unknown, absent: string): string {
  const { code = '', message } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' ? absent : (WORDS[code] ?? message);
}

/** Why a file could not be read. */
export function fileProblem(error: unknown): string {
  return inWords(error, 'no such file');
}

/** Why a file could not be written. */
export function outputProblem(error: unknown): string {
  return inWords(error, 'no such directory');
}
