// Colours of terminals, as elements. What programs write becomes text nodes and class names, nothing else.

import { h } from './dom.js';

/** What is shown of one line. */
const LONGEST = 4096;

/** Escape sequences: CSI, strings that end with BEL or ST (OSC, DCS, SOS, PM, APC), and short ones. ECMA-48. */
const ESCAPES = /\x1b\[([0-9:;<=>?]*)[ -/]*([@-~])|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?|\x9b[0-?]*[ -/]*[@-~]?/g;

/** Other control characters, and those that turn the direction of text or are not seen. */
const HIDDEN = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;

const PLAIN = Object.freeze({ fg: null, bg: null, bold: false, dim: false, italic: false, under: false, inverse: false, strike: false });

const LEVELS = [0, 95, 135, 175, 215, 255];

/** A number of 16 is a class, whose colour the theme knows; the others are as they are. */
function indexed(n) {
  if (!(n >= 0 && n <= 255)) return null;
  if (n < 16) return n;
  if (n >= 232) return `rgb(${Array(3).fill(8 + (n - 232) * 10).join(',')})`;
  const [r, g, b] = [Math.floor((n - 16) / 36), Math.floor((n - 16) / 6) % 6, (n - 16) % 6];
  return `rgb(${LEVELS[r]},${LEVELS[g]},${LEVELS[b]})`;
}

/** SGR: the style that follows from `style` with these parameters. */
function sgr(style, parameters) {
  const codes = parameters === '' ? [0] : parameters.split(/[;:]/).map((code) => Number(code || 0));
  let next = { ...style };
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i];
    if (code === 38 || code === 48) {
      let colour = null;
      if (codes[i + 1] === 5) {
        colour = indexed(codes[i + 2]);
        i += 2;
      } else if (codes[i + 1] === 2) {
        const rgb = codes.slice(i + 2, i + 5);
        colour = rgb.length === 3 && rgb.every((n) => n >= 0 && n <= 255) ? `rgb(${rgb.join(',')})` : null;
        i += 4;
      }
      next[code === 38 ? 'fg' : 'bg'] = colour;
    } else if (code === 0) next = { ...PLAIN };
    else if (code === 1) next.bold = true;
    else if (code === 2) next.dim = true;
    else if (code === 3) next.italic = true;
    else if (code === 4) next.under = true;
    else if (code === 7) next.inverse = true;
    else if (code === 9) next.strike = true;
    else if (code === 22) next.bold = next.dim = false;
    else if (code === 23) next.italic = false;
    else if (code === 24) next.under = false;
    else if (code === 27) next.inverse = false;
    else if (code === 29) next.strike = false;
    else if (code >= 30 && code <= 37) next.fg = code - 30;
    else if (code === 39) next.fg = null;
    else if (code >= 40 && code <= 47) next.bg = code - 40;
    else if (code === 49) next.bg = null;
    else if (code >= 90 && code <= 97) next.fg = code - 82;
    else if (code >= 100 && code <= 107) next.bg = code - 92;
  }
  return next;
}

const visible = (character) => {
  const code = character.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return code === 0x7f ? '\u2421' : `\u2039${code.toString(16).padStart(4, '0')}\u203a`;
};

/** A line as pieces `{ text, style }` and plain text, and the style that the next line begins with. */
export function parse(line, style = PLAIN) {
  // A progress bar overwrites itself: what a terminal would show in the end.
  const end = line.replace(/\r+$/, '');
  const from = end.lastIndexOf('\r') + 1;
  const pieces = [];
  let [plain, at, left] = ['', 0, LONGEST];
  const put = (text, start) => {
    if (start + text.length <= from || text === '') return;
    let clean = text.slice(Math.max(0, from - start)).replace(HIDDEN, visible);
    if (clean.length > left) clean = clean.slice(0, left);
    left -= clean.length;
    if (clean === '') return;
    pieces.push({ text: clean, style });
    plain += clean;
  };
  ESCAPES.lastIndex = 0;
  for (let match = ESCAPES.exec(end); match; match = ESCAPES.exec(end)) {
    put(end.slice(at, match.index), at);
    if (match[2] === 'm' && /^[0-9;:]*$/.test(match[1])) style = sgr(style, match[1]);
    at = ESCAPES.lastIndex;
    // What matches nothing would be found for ever.
    if (match[0] === '') ESCAPES.lastIndex++;
  }
  put(end.slice(at), at);
  return { pieces, plain, style, cut: left === 0 ? Math.max(0, end.length - LONGEST) : 0 };
}

function classes(style) {
  const [fg, bg] = style.inverse ? [style.bg ?? 'back', style.fg ?? 'text'] : [style.fg, style.bg];
  const list = [];
  for (const [side, colour] of [['f', fg], ['b', bg]]) {
    if (typeof colour === 'number' || colour === 'back' || colour === 'text') list.push(`${side}-${colour}`);
  }
  for (const name of ['bold', 'dim', 'italic', 'under', 'strike']) if (style[name]) list.push(name);
  return { list, fg: typeof fg === 'string' && fg.startsWith('rgb') ? fg : '', bg: typeof bg === 'string' && bg.startsWith('rgb') ? bg : '' };
}

function piece(text, style, marked) {
  const { list, fg, bg } = classes(style);
  if (list.length === 0 && !fg && !bg && !marked) return document.createTextNode(text);
  const element = h(marked ? 'mark' : 'span', null, text);
  element.className = list.join(' ');
  // On our own background a colour is drawn towards that of text, so that it can be read in both themes.
  if (fg) element.style.color = bg ? fg : `color-mix(in oklab, ${fg} 40%, var(--text))`;
  if (bg) {
    element.style.backgroundColor = bg;
    // Who chooses a background of their own and no colour with it means that of a terminal.
    if (!fg && style.fg === null) element.classList.add('on-own');
  }
  return element;
}

/** The nodes of a line, with `[start, end]` of what was searched for marked. */
export function nodes(pieces, ranges = []) {
  const made = [];
  let [offset, r] = [0, 0];
  for (const { text, style } of pieces) {
    let at = 0;
    while (at < text.length) {
      while (r < ranges.length && ranges[r][1] <= offset + at) r++;
      const range = ranges[r];
      const inside = range && range[0] <= offset + at;
      const end = range ? Math.min(text.length, (inside ? range[1] : range[0]) - offset) : text.length;
      made.push(piece(text.slice(at, end), style, inside));
      at = end;
    }
    offset += text.length;
  }
  return made;
}
