/** HTML from template strings in which every value is escaped: names come out of files that anybody may have written. */

/** Text that is HTML already. */
export class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
  toString(): string {
    return this.text;
  }
}

type Value = string | number | Markup | undefined | readonly Value[];

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text as it stands in an element or in a quoted attribute (HTML Living Standard, section 13.1.2.3). */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]);
}

function insert(value: Value): string {
  if (value === undefined) return '';
  if (value instanceof Markup) return value.text;
  return Array.isArray(value) ? value.map(insert).join('') : escapeHtml(`${value}`);
}

/** `html\`<b>${name}</b>\``: strings are escaped, Markup is not, arrays are joined, undefined is nothing. */
export function html(parts: TemplateStringsArray, ...values: readonly Value[]): Markup {
  return new Markup(String.raw({ raw: parts }, ...values.map(insert)));
}

/**
 * A value as JSON inside a script element: nothing in it can end the element or begin a comment (HTML Living Standard,
 * section 4.12.1.3), and it is a JavaScript literal too.
 */
export function scriptJson(value: unknown): Markup {
  const escaped = JSON.stringify(value).replace(
    /[<\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return new Markup(escaped);
}

/** A program inside a script element: `</script` and `<!--` can stand in strings and regular expressions only, where `\x3c` is `<`. */
export function scriptSource(program: string): Markup {
  return new Markup(program.replace(/<(?=\/script|!--|script)/gi, '\\x3C'));
}
