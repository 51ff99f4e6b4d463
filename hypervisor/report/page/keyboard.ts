/// <reference lib="dom" />
/** Tips by keyboard: the arrow keys go from point to point, as a mouse does, and what the tip says is spoken. */

/** Steps over the places of a chart's tips. */
export function keyboardTips(frame: HTMLElement, spoken: HTMLElement): void {
  let at = -1;
  frame.addEventListener('keydown', (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const svg = frame.querySelector('svg');
    if (svg === null || (step === undefined && event.key !== 'Escape')) return;
    event.preventDefault();
    const points = Array.from(svg.querySelectorAll('.points path, .segments rect'));
    if (step === undefined || points.length === 0) {
      point(svg, 'pointerleave', 0, 0);
      spoken.textContent = '';
      return;
    }
    at = (at + step + points.length) % points.length;
    const box = points[at].getBoundingClientRect();
    point(svg, 'pointermove', box.left + box.width / 2, box.top + box.height / 2);
    spoken.textContent = Array.from(svg.querySelectorAll('.tip tspan'), (line) => line.textContent).join(' ');
  });
  frame.addEventListener('blur', () => {
    const svg = frame.querySelector('svg');
    if (svg !== null) point(svg, 'pointerleave', 0, 0);
    spoken.textContent = '';
    at = -1;
  });
}

function point(svg: SVGSVGElement, type: string, clientX: number, clientY: number): void {
  svg.dispatchEvent(new PointerEvent(type, { clientX, clientY, pointerType: 'mouse', bubbles: true }));
}
