// What can be done to sessions, jobs and processes, with a question first where it ends something.

import { api, jobPath } from './api.js';
import { $, h, say } from './dom.js';
import { count, shortName } from './format.js';

const SIGNALS = ['TERM', 'KILL', 'INT', 'HUP', 'QUIT', 'USR1', 'USR2', 'STOP', 'CONT'];

/** A message goes by itself after so long, in ms; one that says what failed stays longer. */
const [STAYS, STAYS_LONG] = [4000, 12_000];

const isProcess = (item) => item.pid !== undefined;
const isSession = (item) => item.jobs !== undefined;
const nameOf = (item) => (isSession(item) ? `all jobs of ${item.session}` : isProcess(item) ? `${item.label} (${item.pid})` : shortName(item.name));
const group = (item) => `groups/${encodeURIComponent(item.session)}`;
const ends = (item) => (isSession(item) ? 'All their processes' : `Its ${count(item.processes.size, 'process', 'processes')}`);

/** `ask`: a title, what will happen, and the word on the button. */
const ACTIONS = {
  start: {
    label: 'Start', key: 's', done: 'starts',
    run: (item) => (isSession(item) ? api('POST', `${group(item)}/_start`) : api('POST', `${jobPath(item.name)}/state`, { body: '1' })),
  },
  stop: {
    label: 'Stop', key: 'x', danger: true, done: 'stops',
    ask: (item) => isProcess(item)
      ? `The process is asked to end. ${item.once ? 'It was run once and is not replaced.' : 'The job replaces it with a new one, unless it is scaled down.'}`
      : `${ends(item)} are asked to end, and stay down until somebody starts them.`,
    run: (item) => isSession(item) ? api('POST', `${group(item)}/_stop`)
      : isProcess(item) ? api('DELETE', String(item.pid)) : api('POST', `${jobPath(item.name)}/state`, { body: '0' }),
  },
  restart: {
    label: 'Restart', key: 'r', done: 'restarts',
    ask: (item) => `${ends(item)} are replaced: new ones are started first, then the old ones are asked to end.`,
    run: (item) => api('POST', isSession(item) ? `${group(item)}/_restart` : `processes/${encodeURIComponent(item.name)}/_restart`),
  },
  reload: {
    label: 'Reload', key: 'l', danger: true, done: 'reloads',
    ask: (item) => `${ends(item)} are asked to end and are then replaced; their number is that of the definition again. For a moment none may run.`,
    run: (item) => api('POST', `${jobPath(item.name)}/state`, { body: '2' }),
  },
  kill: {
    label: 'Send a signal …', button: 'Send', key: 'k', danger: true, signal: true, done: 'gets the signal',
    ask: (item) => isProcess(item) ? 'The signal goes to this process and what it has started.' : `The signal goes to ${count(item.processes.size, 'process', 'processes')}.`,
    run: (item, signal) => api('POST', isProcess(item) ? `${item.pid}/signal` : `${jobPath(item.name)}/signal`, { body: { signal } }),
  },
};

export class Actions {
  /** `on.done(item)`: something was done to it. `on.refuse(item)` gives a reason to do nothing, or null; `on.may(item)`: whether we may. */
  constructor(on) {
    this.on = on;
    $('signal').append(...SIGNALS.map((name) => h('option', { value: name }, `SIG${name}`)));
    this.menu = $('menu');
    document.addEventListener('click', (event) => !this.menu.hidden && !this.menu.contains(event.target) && this.close(), true);
    this.menu.addEventListener('keydown', (event) => this.menuKey(event));
    window.addEventListener('resize', () => this.close());
    window.addEventListener('blur', () => this.close());
  }

  async act(name, item) {
    const refused = this.on.refuse(item);
    if (refused) return this.toast(refused, true);
    if (name === 'more' || name === 'less') return this.scale(item, name === 'more' ? 1 : -1);
    const action = ACTIONS[name];
    let signal;
    if (action.ask) {
      const answer = await this.ask({ ...action, title: `${action.label.replace(' …', '')}: ${nameOf(item)}?`, text: action.ask(item) });
      if (!answer) return;
      signal = answer.signal;
    }
    await this.attempt(item, () => action.run(item, signal), () => `${nameOf(item)} ${action.done}${signal ? ` SIG${signal}` : ''}`);
  }

  async scale(item, by) {
    if (by < 0 && item.wanted <= 1) {
      const text = 'None of its processes is left then. The job stays active, and can be scaled up again.';
      if (!(await this.ask({ title: `Scale ${nameOf(item)} to 0?`, text, label: 'Scale to 0', danger: true }))) return;
    }
    const run = () => api('POST', `${jobPath(item.name)}/numprocesses`, { body: { scale: by } });
    await this.attempt(item, run, (answer) => {
      item.wanted = answer.numprocesses;
      return `${nameOf(item)} wants ${count(answer.numprocesses, 'process', 'processes')}`;
    });
  }

  async attempt(item, run, done) {
    try {
      const answer = await run();
      this.toast(done(answer));
    } catch (error) {
      this.toast(`${nameOf(item)}: ${error.message}`, true);
    }
    this.on.done(item);
  }

  /** Resolves to `null`, or to what was chosen. */
  ask({ title, text, label, button, danger, signal }) {
    const dialog = $('ask');
    $('ask-title').textContent = title;
    $('ask-text').textContent = text;
    $('ask-yes').textContent = button ?? label;
    $('ask-yes').className = danger ? 'danger' : 'primary';
    $('ask-signal').hidden = !signal;
    dialog.returnValue = '';
    const before = document.activeElement;
    dialog.showModal();
    (signal ? $('signal') : $('ask-yes')).focus();
    return new Promise((done) => {
      const closed = () => {
        // The event of the question before comes late at times.
        if (dialog.open) return;
        dialog.removeEventListener('close', closed);
        before?.focus?.({ preventScroll: true });
        done(dialog.returnValue === 'yes' ? { signal: signal ? $('signal').value : undefined } : null);
      };
      dialog.addEventListener('close', closed);
    });
  }

  /** What can be done with it, at a button or where the pointer is. */
  choose(item, at, pointer) {
    const stopped = item.state === 'stopped';
    let names = isProcess(item) ? ['stop', 'kill'] : stopped ? ['start'] : ['stop', 'restart', 'reload', 'kill'];
    if (isSession(item)) names = ['start', 'stop', 'restart'];
    if (!this.on.may(item)) names = [];
    const choice = (label, key, f, danger = false) => h(danger ? 'button.danger' : 'button', {
      type: 'button', role: 'menuitem', tabindex: -1,
      onclick: () => {
        this.close();
        f();
      },
    }, label, key ? h('kbd', null, key) : null);
    const list = names.map((name) => choice(ACTIONS[name].label, isSession(item) ? '' : ACTIONS[name].key, () => this.act(name, item), ACTIONS[name].danger));
    if (!isSession(item)) list.push(choice('Show output', '⏎', () => this.on.open(item)));
    if (!isSession(item)) list.push(choice('Show events', 'e', () => this.on.events(item)));
    this.menu.replaceChildren(h('p', null, nameOf(item)), ...list);
    this.menu.hidden = false;
    this.from = at;
    const box = at.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = this.menu;
    const x = pointer ? pointer.clientX : box.right - width;
    const y = pointer ? pointer.clientY : box.bottom + 4;
    this.menu.style.left = `${Math.max(8, Math.min(x, innerWidth - width - 8))}px`;
    this.menu.style.top = `${y + height > innerHeight - 8 ? Math.max(8, (pointer ? y : box.top) - height - 4) : y}px`;
    list[0]?.focus();
  }

  menuKey(event) {
    const list = [...this.menu.querySelectorAll('button')];
    const at = list.indexOf(document.activeElement);
    const moves = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: list.length - 1 };
    if (event.key in moves) list.at(moves[event.key] % list.length).focus();
    else if (event.key === 'Escape' || event.key === 'Tab') this.close(true);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  close(back = false) {
    if (this.menu.hidden) return;
    const had = this.menu.contains(document.activeElement);
    this.menu.hidden = true;
    if (had || back) this.from?.focus?.({ preventScroll: true });
  }

  toast(text, bad = false) {
    const close = () => toast.remove();
    const toast = h(bad ? 'div.toast.bad' : 'div.toast', null, h('span', null, bad ? `Failed. ${text}` : text), h('button.symbol', { type: 'button', 'aria-label': 'Close', onclick: close }, '×'));
    const box = $('toasts');
    box.append(toast);
    while (box.childElementCount > 3) box.firstElementChild.remove();
    setTimeout(close, bad ? STAYS_LONG : STAYS);
    if (bad) say(text);
  }
}

/** For the list of keys. */
export const KEYS = [
  ['The table', [['↑ ↓ Home End', 'move'], ['← →', 'hide or show processes'], ['Enter', 'show output'], ['e', 'show events'], ['m', 'more'], ['a', 'all processes'], ['/', 'filter']]],
  ['A job or process', [...Object.values(ACTIONS).map(({ key, label }) => [key, label.replace(' …', '').toLowerCase()]), ['+ −', 'one process more, less']]],
  ['Output', [['f', 'search'], ['p', 'pause'], ['c', 'clear'], ['w', 'wrap'], ['i', 'time'], ['End', 'follow']]],
  ['The page', [['1 2 3', 'jobs, output, events'], ['z', 'enlarge'], ['t', 'light or dark'], ['Esc', 'back'], ['?', 'these keys']]],
];

export const keyOf = (key) => Object.keys(ACTIONS).find((name) => ACTIONS[name].key === key);
