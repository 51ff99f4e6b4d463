import fc from 'fast-check';
import { expect, test } from 'vitest';
import { html, Markup, scriptJson, scriptSource } from './markup.ts';

test('values are escaped, markup in markup is not, lists are joined, nothing is nothing', () => {
  const cell = html`<b title="${'"<'}">${'a & b'}</b>`;
  expect(html`<p>${[cell, cell]}${undefined}${7}</p>`.text).toBe(
    '<p><b title="&quot;&lt;">a &amp; b</b><b title="&quot;&lt;">a &amp; b</b>7</p>',
  );
  expect(html`${new Markup('<i>')}`.text).toBe('<i>');
});

test('no text makes an element, or ends an attribute', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(html`${text}`.text).not.toMatch(/[<>"']/);
    }),
  );
});

test('JSON in a script element ends nowhere, and means the same', () => {
  const nasty = fc.constantFrom('</script>', '<!--', '<script', ']]>', '\u2028');
  fc.assert(
    fc.property(fc.array(fc.oneof(nasty, fc.string())), (value) => {
      const { text } = scriptJson(value);
      expect(text).not.toMatch(/[<\u2028\u2029]/);
      expect(JSON.parse(text)).toEqual(value);
    }),
  );
});

test('a program that has the end of its element in a string runs as before', () => {
  const { text } = scriptSource(`return '</script><!--'`);
  expect(text).not.toMatch(/<\/script|<!--/);
  expect(new Function(text)()).toBe('</script><!--');
});
