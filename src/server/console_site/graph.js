// Small graphs of the last two minutes.

import { svg } from './dom.js';
import { WINDOW } from './store.js';

const [WIDTH, HEIGHT] = [60, 18];

export class Graph {
  /** `column` as in a ring; the scale reaches at least to `least`. */
  constructor(column, least) {
    this.column = column;
    this.least = least;
    this.area = svg('path', { class: 'area' });
    this.line = svg('path', { class: 'line' });
    const box = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true', class: 'graph' };
    this.element = svg('svg', box, this.area, this.line);
    this.drawn = null;
  }

  draw(ring, now) {
    const last = ring.last;
    const stamp = last ? last.time : 0;
    if (this.drawn === ring && this.stamp === stamp) return;
    [this.drawn, this.stamp] = [ring, stamp];
    let most = this.least;
    ring.each(this.column, (time, value) => (most = Math.max(most, value)));
    let [path, first, x] = ['', null, 0];
    ring.each(this.column, (time, value) => {
      if (now - time > WINDOW) return;
      x = (WIDTH * (1 - (now - time) / WINDOW)).toFixed(1);
      const y = (HEIGHT - 1 - (value / most) * (HEIGHT - 3)).toFixed(1);
      path += `${path ? 'L' : 'M'}${x} ${y}`;
      first ??= x;
    });
    this.line.setAttribute('d', path);
    this.area.setAttribute('d', path && `${path}L${x} ${HEIGHT}L${first} ${HEIGHT}Z`);
  }
}
