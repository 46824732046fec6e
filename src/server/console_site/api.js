// Every request the page makes goes through `api()`, so that what all of them need, the key, has one place.

/** The server may stand behind a proxy, below a path of its own. */
const BASE = new URL('../../', import.meta.url);

/** An answer takes this long at most, in ms. */
const PATIENCE = 15_000;

/** A feed gives a sign of life this often, in s; after three silent times it is dead. */
const HEARTBEAT = 10;

/** Each page has three feeds; more requests than six wait in the browser itself. */
const SILENT = 'there was no answer; a browser opens six connections to a node, and each window with the console takes three';

/** The longest piece of a feed. */
const LONGEST = 4 << 20;

/** The key stays in this tab: neither in its URL, nor where another tab or a later visit finds it. */
const KEY = 'gaffer-key';

let current = '';
try {
  current = sessionStorage.getItem(KEY) ?? '';
} catch {
  // Storage is forbidden: it holds until the page is left.
}

export const key = {
  get: () => current,
  set(wanted) {
    current = wanted;
    try {
      if (wanted) sessionStorage.setItem(KEY, wanted);
      else sessionStorage.removeItem(KEY);
    } catch {
      // As above.
    }
  },
};

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** `await api('GET', 'status')`: JSON, or text with `as: 'text'`, or with `as: 'response'` what `fetch` gives. */
export async function api(method, path, { body, as = 'json', headers = {}, signal, patience = PATIENCE } = {}) {
  const stop = new AbortController();
  const abort = () => stop.abort(signal.reason);
  if (signal?.aborted) abort();
  signal?.addEventListener('abort', abort);
  const timer = patience && setTimeout(() => stop.abort(new ApiError(0, SILENT)), patience);
  try {
    const init = { method, headers: { ...headers }, signal: stop.signal, cache: 'no-store', credentials: 'same-origin' };
    if (current) init.headers['X-Api-Key'] = current;
    if (body !== undefined) {
      init.body = typeof body === 'string' ? body : JSON.stringify(body);
      init.headers['Content-Type'] = typeof body === 'string' ? 'text/plain' : 'application/json';
    }
    const response = await fetch(new URL(path, BASE), init);
    if (!response.ok) throw new ApiError(response.status, await reason(response));
    if (as === 'response') return response;
    return await (as === 'text' ? response.text() : response.json());
  } catch (error) {
    if (stop.signal.aborted && !signal?.aborted) throw stop.signal.reason;
    throw error instanceof TypeError ? new ApiError(0, 'the node cannot be reached') : error;
  } finally {
    clearTimeout(timer);
    // Of a feed the content is still to come.
    if (as !== 'response') signal?.removeEventListener('abort', abort);
  }
}

async function reason(response) {
  try {
    return (await response.json()).reason;
  } catch {
    return `${response.status} ${response.statusText}`;
  }
}

/**
 * Reads server-sent events until they end. With `fetch`, not with `EventSource`: that could neither go on after an id of an
 * earlier page nor send a header, and hides why it failed.
 */
export async function feed(path, { signal, lastId, opened, each }) {
  const stop = new AbortController();
  signal.addEventListener('abort', () => stop.abort());
  const headers = { Accept: 'text/event-stream' };
  if (lastId) headers['Last-Event-ID'] = lastId;
  const url = `${path}${path.includes('?') ? '&' : '?'}feed=eventsource&heartbeat=${HEARTBEAT}`;
  const response = await api('GET', url, { as: 'response', headers, signal: stop.signal });
  opened?.();
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  const message = { id: '', event: '', data: [] };
  const take = (name, data, id) => {
    // Its last words, if the key is not good any more.
    if (name === 'error') throw new ApiError(JSON.parse(data).errno, JSON.parse(data).reason);
    each(name, data, id);
  };
  let [rest, quiet, timer] = ['', 0, 0];
  const watch = () => {
    quiet++;
    if (quiet > 3) stop.abort();
  };
  timer = setInterval(watch, HEARTBEAT * 1000);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      quiet = 0;
      rest += decoder.decode(value, { stream: true });
      if (rest.length > LONGEST) throw new ApiError(0, 'a piece of the feed is too long');
      const lines = rest.split('\n');
      rest = lines.pop();
      for (const line of lines) field(message, line.endsWith('\r') ? line.slice(0, -1) : line, take);
    }
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof ApiError) throw error;
    throw stop.signal.aborted ? new ApiError(0, 'the node is silent') : new ApiError(0, 'the connection is gone');
  } finally {
    clearInterval(timer);
    stop.abort();
  }
}

/** A line of a feed: HTML standard, section 9.2.6. */
function field(message, line, each) {
  if (line === '') {
    if (message.data.length > 0) each(message.event || 'message', message.data.join('\n'), message.id);
    message.event = '';
    message.data = [];
    return;
  }
  const colon = line.indexOf(':');
  if (colon === 0) return;
  const name = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
  if (name === 'data') message.data.push(value);
  else if (name === 'event') message.event = value;
  else if (name === 'id') message.id = value;
}

/** `jobs/default/web`. */
export function jobPath(name) {
  const [session, label] = name.split('.');
  return `jobs/${encodeURIComponent(session)}/${encodeURIComponent(label)}`;
}
