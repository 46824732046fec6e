// Who we are to the node: the key, where it asks for one, and what that allows.

import { api, ApiError, key } from './api.js';
import { $, attribute, text } from './dom.js';

/** What nobody is asked for, everybody may. */
const ALL = { admin: true };

/** Each includes those behind it. */
const RIGHTS = ['manage', 'write', 'read'];

const list = (permissions) => {
  if (permissions.admin) return 'everything (admin)';
  const parts = RIGHTS.filter((right) => permissions[right]?.length > 0).map((right) => `${right} ${permissions[right].join(', ')}`);
  for (const right of ['create_key', 'create_user']) if (permissions[right]) parts.push(right);
  return parts.join('; ') || 'nothing';
};

export class Who {
  /** `on.changed()`: another key, or none, is to be tried. */
  constructor(on) {
    Object.assign(this, { on, permissions: ALL, id: null, label: '', asked: false });
    const dialog = $('lock');
    $('unlock').addEventListener('click', () => this.ask());
    $('lock-no').addEventListener('click', () => dialog.close());
    $('lock-forget').addEventListener('click', () => {
      dialog.close();
      this.use('');
    });
    $('lock-key').addEventListener('input', () => this.fault(''));
    dialog.addEventListener('close', () => ($('lock-key').value = ''));
    dialog.querySelector('form').addEventListener('submit', (event) => {
      const wanted = $('lock-key').value.trim();
      // Anything else could not be sent.
      const fault = wanted === '' ? 'Enter a key.' : /^[\x21-\x7e]+$/.test(wanted) ? '' : 'A key has letters and digits only.';
      if (!fault) return this.use(wanted);
      event.preventDefault();
      this.fault(fault);
    });
  }

  use(wanted) {
    key.set(wanted);
    this.on.changed();
  }

  /** Throws the node's answer, if it does not know the key. */
  async learn(signal) {
    Object.assign(this, { permissions: ALL, id: null, label: '' });
    if (key.get()) {
      try {
        const { key: id, label, permissions } = await api('GET', 'keys/self', { signal });
        Object.assign(this, { permissions, id, label, asked: true });
      } catch (error) {
        // It asks nobody, or not us: a proxy may be trusted.
        if (error.status !== 404) throw error;
      }
    }
    this.show();
  }

  /** The node wants another key, or any: whether that is what an error says. */
  refused(error) {
    if (!(error instanceof ApiError) || ![401, 403].includes(error.status)) return false;
    this.asked = true;
    this.show();
    return true;
  }

  /** `manage` on `shop.web`, on `shop`, or on everything: `*`. */
  may(right, on) {
    const { permissions } = this;
    if (permissions.admin) return true;
    const patterns = RIGHTS.slice(0, RIGHTS.indexOf(right) + 1).flatMap((name) => permissions[name] ?? []);
    return patterns.some((pattern) => pattern === '*' || pattern === on || pattern === on.split('.')[0]);
  }

  /** Whether there is nothing at all to change. */
  get isReader() {
    return !this.permissions.admin && !this.permissions.manage?.length;
  }

  show() {
    $('unlock').hidden = !this.asked;
    const words = key.get() === '' ? 'Give a key' : this.id === null ? 'Another key' : `Key ${this.id}${this.label ? ` (${this.label})` : ''}`;
    attribute($('unlock'), 'title', words);
    attribute($('unlock'), 'aria-label', words);
  }

  /** Opens the field, with what there is to say about it. */
  ask(why = '') {
    const dialog = $('lock');
    const known = this.id !== null;
    text($('lock-title'), known ? `Key ${this.id}` : 'A key is needed');
    const about = known ? `${this.label ? `“${this.label}” may do: ` : 'It may do: '}${list(this.permissions)}.` : `The node at ${location.host} asks who you are.`;
    text($('lock-text'), about);
    text($('lock-label'), known ? 'Another key' : 'Key');
    $('lock-forget').hidden = key.get() === '';
    this.fault(why);
    if (!dialog.open) dialog.showModal();
    $('lock-key').focus();
  }

  fault(why) {
    attribute($('lock-key'), 'aria-invalid', why ? 'true' : null);
    text($('lock-fault'), why);
    $('lock-fault').hidden = !why;
  }
}
