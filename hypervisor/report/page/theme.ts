/// <reference lib="dom" />
/** Light or dark: the system's choice until the reader makes one, which this browser then keeps. */

const KEY = 'minivisor-theme';
type Theme = 'light' | 'dark';

const system = matchMedia('(prefers-color-scheme: dark)');

/** A file opened from disk may have no storage. */
function stored(): Theme | undefined {
  try {
    const value = localStorage.getItem(KEY);
    return value === 'light' || value === 'dark' ? value : undefined;
  } catch {
    return undefined;
  }
}

function keep(theme: Theme): void {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Then it is asked for again.
  }
}

/** Makes the button work. Charts take their colours from the style sheet, so nothing is drawn again. */
export function themeButton(button: HTMLButtonElement): void {
  let chosen = stored();
  const theme = (): Theme => chosen ?? (system.matches ? 'dark' : 'light');
  const other = (): Theme => (theme() === 'dark' ? 'light' : 'dark');
  const show = () => {
    if (chosen !== undefined) document.documentElement.dataset.theme = chosen;
    button.textContent = other() === 'dark' ? 'Dark' : 'Light';
    button.setAttribute('aria-label', `Change to the ${other()} theme`);
  };
  button.addEventListener('click', () => {
    chosen = other();
    keep(chosen);
    show();
  });
  system.addEventListener('change', show);
  button.hidden = false;
  show();
}
