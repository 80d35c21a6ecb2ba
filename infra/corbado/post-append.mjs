// Corbado's action post-append: tells the function post-append that a user has a passkey now.
//
// Paste the whole file into the action as its `index.mjs`. Node 20 or later, nothing to install. Settings:
//   POST_APPEND_URL               where the function post-append listens: https, http on loopback only
//   POST_APPEND_SIGNING_SECRET    one of its ACTION_SIGNING_SECRETS: whsec_…
//   ACTION_TIMEOUT_MS             how long the whole may take, a second attempt included: 1000 to 20000, default 5000

import { createHmac, randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';

const ACTION = 'post-append';
const SETTINGS = {
  url: process.env.POST_APPEND_URL,
  secret: process.env.POST_APPEND_SIGNING_SECRET,
  timeout: process.env.ACTION_TIMEOUT_MS || '5000',
};
// The function sets flags that may be set twice: telling it again does no harm.
const REPEATABLE = true;
// Corbado's documented failure, as the function itself words it when a system behind it is down.
const FAILED = {
  statusCode: 500,
  body: { message: 'Failed to update MFA settings', error: 'provider_unavailable' },
};

// ---- From here on the files of the three actions are the same.

const MAX_ANSWER_BYTES = 64 * 1024;
const PAUSE_MS = 200;
// Said by gateways in front of the function, never by the function.
const BUSY = [429, 502, 503, 504];
// No connection came about, so nothing was sent.
const UNSENT = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN'];

class Failure extends Error {
  constructor(code, traits) {
    super(code);
    Object.assign(this, { code, ...traits });
  }
}

export const handler = async (event) => {
  // A code and a status only: events, answers and the texts of errors may name users or hold tokens.
  const log = (code, status) => console.error(JSON.stringify({ action: ACTION, code, status }));
  try {
    const answer = await ask(prepare(event));
    if (answer.statusCode !== 200) log('refused', answer.statusCode);
    return answer;
  } catch (error) {
    const { code, status } = error instanceof Failure ? error : new Failure('unexpected');
    log(code, status);
    return structuredClone(FAILED);
  }
};

function prepare(event) {
  const url = URL.canParse(SETTINGS.url) ? new URL(SETTINGS.url) : {};
  const loopback = ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname);
  const safe = url.protocol === 'https:' || (url.protocol === 'http:' && loopback);
  if (!safe || url.username || url.password) throw new Failure('setting_url');

  const base64 = /^whsec_(.+)$/.exec(SETTINGS.secret)?.[1] ?? '';
  const key = Buffer.from(base64, 'base64');
  if (key.toString('base64') !== base64 || key.length < 24 || key.length > 64) throw new Failure('setting_secret');

  const timeout = Number(SETTINGS.timeout);
  if (!(timeout >= 1000 && timeout <= 20_000)) throw new Failure('setting_timeout');
  return { url, key, timeout, body: JSON.stringify(event) ?? 'null' };
}

// Asks, and once more where that can do no harm.
async function ask(call) {
  const deadline = performance.now() + call.timeout;
  try {
    // The first of two attempts leaves time for the second.
    return await attempt(call, REPEATABLE ? call.timeout / 2 : call.timeout);
  } catch (error) {
    const left = deadline - performance.now() - PAUSE_MS;
    const harmless = error.unsent || (REPEATABLE && error.passing);
    if (!harmless || left < PAUSE_MS) throw error;
    await pause(PAUSE_MS);
    return attempt(call, left);
  }
}

async function attempt({ url, key, body }, ms) {
  // Standard Webhooks. Each attempt has an id of its own: the function post-login takes each only once.
  const id = `msg_${randomUUID()}`;
  const timestamp = String(Math.floor(Date.now() / 1000));
  const mac = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
  const headers = {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': `v1,${mac}`,
    // A connection kept from an earlier call may have died while this process was frozen.
    connection: 'close',
  };
  const exchange = new AbortController();
  const timer = setTimeout(() => exchange.abort(), ms);
  try {
    // A redirect could take the event to someone else.
    const request = { method: 'POST', headers, body, redirect: 'manual', signal: exchange.signal };
    return await read(await fetch(url, request));
  } catch (error) {
    if (error instanceof Failure) throw error;
    const code = exchange.signal.aborted ? 'timeout' : (error.cause?.code ?? 'network');
    throw new Failure(code, { passing: true, unsent: UNSENT.includes(code) });
  } finally {
    clearTimeout(timer);
    // Ends what is still open, such as a body that nobody wants.
    exchange.abort();
  }
}

// Takes the function's own answers only: what a gateway or another site says is not passed on.
async function read(response) {
  const { status } = response;
  if (BUSY.includes(status)) throw new Failure('busy', { status, passing: true });
  const chunks = [];
  let room = MAX_ANSWER_BYTES;
  for await (const chunk of response.body ?? []) {
    room -= chunk.length;
    if (room < 0) throw new Failure('too_large', { status });
    chunks.push(chunk);
  }
  let body;
  try {
    body = JSON.parse(Buffer.concat(chunks).toString());
  } catch {
    // No JSON is no answer, either.
  }
  const success = status === 200 && body instanceof Object && !Array.isArray(body);
  const refusal = status >= 400 && typeof body?.message === 'string' && typeof body.error === 'string';
  if (!success && !refusal) throw new Failure('no_answer', { status });
  return { statusCode: status, body };
}
