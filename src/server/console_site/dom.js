// Elements, made of text and attributes alone: nothing here makes HTML of a string.

const SVG = 'http://www.w3.org/2000/svg';

export const $ = (id) => document.getElementById(id);

/** `h('button.danger', { title: 'Stop', onclick }, 'Stop')`. Children are nodes or text; null is left out. */
export function h(selector, props, ...children) {
  const [tag, ...classes] = selector.split('.');
  const element = document.createElement(tag);
  element.className = classes.join(' ');
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Sets a text only where it differs, so that what has not changed costs no layout and is not read out again. */
export function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

export function attribute(element, name, value) {
  if (value === null) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** Work with a pause rests this many times as long as it took, but at most so many ms: then there is time for keys and clicks. */
const [REST, LONGEST_REST] = [5, 1000];

/** Calls `f` once in the next frame, however often it was asked to, and with a pause of so many ms after the call before. */
export function eachFrame(f, pause = 0) {
  let [asked, last, rest] = [false, -Infinity, pause];
  const call = () => {
    asked = false;
    const start = performance.now();
    f();
    last = performance.now();
    if (pause > 0) rest = Math.max(pause, Math.min(REST * (last - start), LONGEST_REST));
  };
  return () => {
    if (asked) return;
    asked = true;
    const wait = last + rest - performance.now();
    if (wait > 0) setTimeout(() => requestAnimationFrame(call), wait);
    else requestAnimationFrame(call);
  };
}

/** A row of buttons of which one is pressed. */
export function chips(element, choices, chosen, onchoice) {
  const buttons = choices.map(([value, label]) => {
    const count = h('span.count', { hidden: true });
    const button = h('button', { type: 'button', 'data-value': value, 'aria-pressed': String(value === chosen) }, label, count);
    button.addEventListener('click', () => choose(value));
    return button;
  });
  element.replaceChildren(...buttons);
  function choose(value) {
    for (const button of buttons) button.setAttribute('aria-pressed', String(button.dataset.value === value));
    onchoice(value);
  }
  function count(value, n) {
    const badge = buttons.find((button) => button.dataset.value === value).querySelector('.count');
    badge.hidden = n === 0;
    text(badge, String(n));
  }
  return { choose, count };
}

/** For those who hear the page. */
export function say(what) {
  $('said').textContent = what;
}
