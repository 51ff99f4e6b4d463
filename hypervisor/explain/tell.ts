/** Tells a subject: runs it, and gives the text and what a program can read. */
import type { Values } from '../cli/options.ts';
import { inFolder } from '../temporary_folder.ts';
import { COLOURED, PLAIN, renderStory } from './render.ts';
import type { ExplainContext } from './run.ts';
import { storyJson } from './story.ts';
import type { SubjectName } from './subject_table.ts';
import { STORIES } from './subjects.ts';

export interface TellOptions extends Omit<ExplainContext, 'folder'> {
  readonly coloured: boolean;
}

/** @throws UserError, ThreadDied */
export async function tellSubject(
  name: SubjectName,
  values: Values,
  { coloured, ...context }: TellOptions,
): Promise<{ readonly text: string; readonly json: unknown }> {
  const stories = await inFolder('minivisor-explain', (folder) => STORIES[name]({ ...context, folder }, values));
  return {
    text: stories.map((story) => renderStory(story, coloured ? COLOURED : PLAIN)).join('\n'),
    json: { schema: 'minivisor-explain-1', stories: stories.map(storyJson) },
  };
}
