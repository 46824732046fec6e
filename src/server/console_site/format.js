// Numbers and times as people read them.

const pad = (n, width = 2) => String(n).padStart(width, '0');

/** `45s`, `12m`, `3h 07m`, `12d 4h`. */
export function age(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m ${pad(s % 60)}s`;
  if (s < 86400) return `${Math.floor(s / 3600)}h ${pad(Math.floor((s % 3600) / 60))}m`;
  return `${Math.floor(s / 86400)}d ${Math.floor((s % 86400) / 3600)}h`;
}

/** `12.3 MiB`. */
export function bytes(n) {
  let unit = 0;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  while (n >= 1024 && unit < units.length - 1) {
    n /= 1024;
    unit++;
  }
  return `${n.toFixed(unit === 0 || n >= 100 ? 0 : 1)} ${units[unit]}`;
}

export const percent = (n) => `${n.toFixed(n >= 100 ? 0 : 1)}%`;

export const count = (n, one, many) => `${n} ${n === 1 ? one : many}`;

/** `14:03:12`, and with milliseconds where lines follow each other quickly. */
export function clock(seconds, millis = false) {
  const date = new Date(seconds * 1000);
  const time = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  return millis ? `${time}.${pad(date.getMilliseconds(), 3)}` : time;
}

/** `web`, and `shop.web` outside of the default session. */
export const shortName = (name) => (name.startsWith('default.') ? name.slice('default.'.length) : name);

const SIGNALS = { 1: 'HUP', 2: 'INT', 3: 'QUIT', 6: 'ABRT', 9: 'KILL', 10: 'USR1', 11: 'SEGV', 12: 'USR2', 13: 'PIPE', 14: 'ALRM', 15: 'TERM' };

export const signalName = (number) => (SIGNALS[number] ? `SIG${SIGNALS[number]}` : `signal ${number}`);

/** How a process has ended, in few words. */
export function exit({ exit_code, term_signal, reason }) {
  if (reason) return reason;
  return term_signal === null ? `code ${exit_code}` : signalName(term_signal);
}
